/// Names the thing an ``Identifier`` belongs to; `prefix` is what its text starts with, such as `exec`.
public protocol IdentifierKind: Sendable {
    static var prefix: String { get }
}

/// A typed id: `prefix_` and 26 lower-case Crockford base-32 digits (48 bits of milliseconds, 80 random bits), so ids of
/// one kind sort by the time they were made. Comparable as text on every database engine.
public struct Identifier<Kind: IdentifierKind>: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String

    public var description: String { text }

    /// Refuses anything but this kind's exact form, so that an id from outside can be used in a path or a query.
    public init(_ text: String) throws(BerthError) {
        guard Self.isWellFormed(text) else {
            throw BerthError(
                .invalidIdentifier,
                "'\(text.prefix(80))' is not \(Self.article) \(Kind.prefix) id",
                remedy: "ids look like \(Kind.prefix)_01jd0000000000000000000000"
            )
        }
        self.text = text
    }

    init(unchecked text: String) { self.text = text }

    private static var article: String { "aeiou".contains(Kind.prefix.first ?? "x") ? "an" : "a" }

    private static func isWellFormed(_ text: String) -> Bool {
        let prefix = Kind.prefix.utf8
        guard text.utf8.count == prefix.count + 27 else { return false }
        var text = text
        return text.withUTF8 { bytes in
            guard bytes.starts(with: prefix), bytes[prefix.count] == UInt8(ascii: "_") else { return false }
            for index in (prefix.count + 1)..<bytes.count where !Crockford.isDigit(bytes[index]) { return false }
            return true
        }
    }

    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

extension Identifier: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            self = try Identifier(try container.decode(String.self))
        } catch let error as BerthError {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.message)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// Base 32 with the digits 0123456789abcdefghjkmnpqrstvwxyz.
enum Crockford {
    /// `prefix`, an underscore and 26 digits of a 130-bit number whose low 128 bits are `high` and `low`.
    static func text(_ prefix: String, high: UInt64, low: UInt64) -> String {
        var prefix = prefix
        return prefix.withUTF8 { prefix in
            String(unsafeUninitializedCapacity: prefix.count + 27) { text in
                _ = text.initialize(from: prefix)
                text[prefix.count] = UInt8(ascii: "_")
                var value = UInt128(high) << 64 | UInt128(low)
                digits.withUTF8Buffer { digits in
                    for place in stride(from: prefix.count + 26, to: prefix.count, by: -1) {
                        text[place] = digits[Int(truncatingIfNeeded: value & 31)]
                        value >>= 5
                    }
                }
                return prefix.count + 27
            }
        }
    }

    private static let digits: StaticString = "0123456789abcdefghjkmnpqrstvwxyz"

    static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "i"), UInt8(ascii: "l"), UInt8(ascii: "o"), UInt8(ascii: "u"): false
        case UInt8(ascii: "a")...UInt8(ascii: "z"): true
        default: false
        }
    }
}

public enum OrganizationKind: IdentifierKind { public static let prefix = "org" }
public enum UserKind: IdentifierKind { public static let prefix = "user" }
public enum APIKeyKind: IdentifierKind { public static let prefix = "key" }
public enum EnvironmentKind: IdentifierKind { public static let prefix = "env" }
public enum WorkerKind: IdentifierKind { public static let prefix = "wrk" }
public enum RepositoryKind: IdentifierKind { public static let prefix = "repo" }
public enum WorkspaceKind: IdentifierKind { public static let prefix = "ws" }
public enum ExecutionKind: IdentifierKind { public static let prefix = "exec" }
public enum EventKind: IdentifierKind { public static let prefix = "evt" }
public enum RequestKind: IdentifierKind { public static let prefix = "req" }
public enum UploadKind: IdentifierKind { public static let prefix = "up" }
public enum ReplicaKind: IdentifierKind { public static let prefix = "srv" }
public enum JobKind: IdentifierKind { public static let prefix = "job" }
public enum TerminalKind: IdentifierKind { public static let prefix = "term" }

public typealias OrganizationID = Identifier<OrganizationKind>
public typealias UserID = Identifier<UserKind>
public typealias APIKeyID = Identifier<APIKeyKind>
public typealias EnvironmentID = Identifier<EnvironmentKind>
public typealias WorkerID = Identifier<WorkerKind>
public typealias RepositoryID = Identifier<RepositoryKind>
public typealias WorkspaceID = Identifier<WorkspaceKind>
public typealias ExecutionID = Identifier<ExecutionKind>
public typealias EventID = Identifier<EventKind>
public typealias RequestID = Identifier<RequestKind>
public typealias UploadID = Identifier<UploadKind>
public typealias ReplicaID = Identifier<ReplicaKind>
public typealias JobID = Identifier<JobKind>
public typealias TerminalID = Identifier<TerminalKind>

extension Identifier where Kind == ReplicaKind {
    /// A server that needs no name because no other uses its database.
    public static let alone = Identifier(unchecked: "srv_" + String(repeating: "0", count: 26))
}
