extension RouteTable {
    /// The documents' own procedures about machines (seeds 002 and 003), as tRPC calls them over HTTP: the input is the body,
    /// or the query's `input`; the answer is `{"result": {"data": …}}`.
    static let documentedMachines: [Route] = [
        query(.vmListRegions, "vm.listRegions", .read, "Where machines are."),
        query(.vmListFlavors, "vm.listFlavors", .read, "Sizes of machines."),
        query(.vmGetMine, "vm.getMyVm", .read, "The caller's machine, or null."),
        query(.vmGetLogs, "vm.getProvisionLogs", .read, "The provisioning log of the caller's machine."),
        mutation(.vmProvision, "vm.provisionMyVm", .manageEnvironments, "The caller's machine, made if need be."),
        mutation(.vmStart, "vm.startMyVm", .manageEnvironments, "Start the caller's machine."),
        mutation(.vmStop, "vm.stopMyVm", .manageEnvironments, "Stop the caller's machine."),
        mutation(.vmDestroyMine, "vm.destroyMyVm", .manageEnvironments, "Destroy the caller's machine."),
        mutation(.vmExecute, "vm.executeCode", .run, "Run code in the caller's machine, started if need be."),
        Route(
            .vmExecuteStream,
            .get,
            prefix + "vm.executeCodeStream",
            .run,
            "As vm.executeCode, as events `stdout`, `stderr`, `exit`, `error`.",
            query: [input],
            answer: .serverSentEvents,
            isAudited: true
        ),
        query(.vmGetAll, "vm.getAllVms", .manageOrganization, "Every machine, the hosts and figures."),
        mutation(.vmDestroy, "vm.destroyVm", .manageOrganization, "Destroy anybody's machine."),
        mutation(.vmCreate, "vm.createVM", .manageEnvironments, "A machine with a repository checked out."),
        query(.cloudWorkspaceList, "cloudWorkspace.list", .read, "Machines with a repository, newest first."),
        query(.cloudWorkspaceGet, "cloudWorkspace.get", .read, "One of them."),
        mutation(.cloudWorkspaceCreate, "cloudWorkspace.create", .manageEnvironments, "As vm.createVM."),
        mutation(.cloudWorkspacePause, "cloudWorkspace.pause", .manageEnvironments, "Freeze it."),
        mutation(.cloudWorkspaceResume, "cloudWorkspace.resume", .manageEnvironments, "Let it go on."),
        mutation(.cloudWorkspaceStop, "cloudWorkspace.stop", .manageEnvironments, "Stop it."),
        mutation(.cloudWorkspaceJoin, "cloudWorkspace.join", .run, "Connect to it, woken if need be."),
        mutation(.cloudWorkspaceLeave, "cloudWorkspace.leave", .run, "Go, by `sessionId`."),
        mutation(.cloudWorkspaceHeartbeat, "cloudWorkspace.heartbeat", .run, "Still there, by `sessionId`."),
        query(.cloudWorkspaceGetSessions, "cloudWorkspace.getSessions", .read, "Who was connected of late."),
        query(.cloudWorkspaceGetActiveSessions, "cloudWorkspace.getActiveSessions", .read, "Who is connected."),
        query(
            .cloudWorkspaceGetSSHCredentials,
            "cloudWorkspace.getSSHCredentials",
            .run,
            "A way in for an SSH client, by `workspaceId`."
        ),
        query(.vmGetSSHCredentials, "vm.getSSHCredentials", .run, "The same by `vmId`."),
        mutation(.cloudWorkspaceDelete, "cloudWorkspace.delete", .manageEnvironments, "Destroy it."),
    ]

    private static let prefix = "/api/trpc/"
    private static let input = Route.Parameter("input", .string(), "JSON")

    private static func query(_ id: RouteID, _ name: String, _ access: Access, _ summary: String) -> Route {
        Route(id, .get, prefix + name, access, summary, query: [input], answer: .json(.documentedResult))
    }

    private static func mutation(_ id: RouteID, _ name: String, _ access: Access, _ summary: String) -> Route {
        Route(
            id,
            .post,
            prefix + name,
            access,
            summary,
            body: .any,
            answer: .json(.documentedResult),
            isAudited: true
        )
    }
}

extension Schema {
    static let documentedResult = Schema.object(
        name: "ProcedureResult",
        members: [
            .required(
                "result",
                .object(name: "ProcedureData", members: [.required("data", .any, "the answer")]),
                "result"
            )
        ]
    )
}
