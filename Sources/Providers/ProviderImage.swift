public import Base

/// What environments of a provider can be made of.
public struct ProviderImage: Sendable, Equatable {
    public var name: String
    public var isAvailable: Bool
    /// What environments are made of that name none.
    public var isDefault: Bool
    /// nil where the provider does not say.
    public var bytes: Int64?
    public var createdAt: Timestamp?

    public init(name: String, isAvailable: Bool, isDefault: Bool, bytes: Int64? = nil, createdAt: Timestamp? = nil) {
        self.name = name
        self.isAvailable = isAvailable
        self.isDefault = isDefault
        self.bytes = bytes
        self.createdAt = createdAt
    }
}

/// A root file system as a tar archive, on its way.
public struct ImageArchive: Sendable {
    /// In bytes, where it is known.
    public var length: Int?
    /// The next piece; nil at the end.
    public var next: @Sendable () async throws -> [UInt8]?

    public init(length: Int?, next: @escaping @Sendable () async throws -> [UInt8]?) {
        self.length = length
        self.next = next
    }
}
