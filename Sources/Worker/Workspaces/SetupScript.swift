internal import Base
internal import BerthCore
internal import Domain

/// What an execution that sets a workspace up runs: the repository's own script.
struct SetupScript: Sendable {
    let command: [String]
    let variables: [String: String]
    /// For the person who watches; nil: there is no script.
    let note: String?

    /// Throws what is wrong with the repository's file.
    init(_ checkout: Checkout, _ request: WorkspaceRequest) throws(BerthError) {
        let (configuration, file) = try CheckoutFiles.configuration(of: checkout.path)
        variables = configuration.environment.merging([
            "BERTH_WORKSPACE_ID": request.workspaceID.text, "BERTH_WORKSPACE_PATH": checkout.path,
        ]) { _, new in new }
        let script = request.setup?.skipsScript == true ? nil : configuration.scripts.setup
        command = ["/bin/sh", "-c", script ?? ":"]
        note = script == nil ? nil : "setting up, as \(file ?? "it") says"
    }
}
