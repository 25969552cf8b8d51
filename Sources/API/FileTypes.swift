/// `POST /v1/workspaces/{workspaceId}/files/directories`.
public struct MakeDirectory: Sendable, Codable, Equatable {
    public var path: String
    /// Also those above it.
    public var parents: Bool?

    public init(path: String, parents: Bool? = nil) {
        self.path = path
        self.parents = parents
    }
}

/// `POST /v1/workspaces/{workspaceId}/files/move`.
public struct MoveFile: Sendable, Codable, Equatable {
    public var from: String
    /// Its new path, or a directory that it is moved into.
    public var to: String
    /// Whether it may take the place of what is there.
    public var replace: Bool?

    public init(from: String, to: String, replace: Bool? = nil) {
        self.from = from
        self.to = to
        self.replace = replace
    }
}
