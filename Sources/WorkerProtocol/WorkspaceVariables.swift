public import Base

/// `GET /v1/worker/workspaces/{workspaceId}/variables`: what a worker asks for whenever it starts an agent in a workspace,
/// so that no environment keeps them.
public struct WorkspaceVariables: Sendable, Codable {
    /// By name, opened.
    public var variables: [String: String]

    public init(variables: [String: String]) { self.variables = variables }

    public static func path(of workspace: WorkspaceID) -> String { "/v1/worker/workspaces/\(workspace)/variables" }
}
