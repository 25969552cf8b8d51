import API
import Base
import Client
import Domain

/// `berth fetch`: a finished task's branch, into a repository on this machine.
enum FetchCommand {
    static let command = Command(
        path: ["fetch"],
        summary: "Bring a task's branch into a repository on this machine.",
        operands: [Operand(name: "EXECUTION", count: .one, about: "id of an execution, exec_…")],
        options: [
            .value("into", "PATH", "Repository that gets the branch; default: the one of the current directory.")
        ],
        examples: [
            Example(
                line: "berth fetch exec_01jd0000000000000000000000",
                about: "After berth run --repo . --detach, or from another machine"
            ),
            Example(
                line: "berth fetch exec_01jd0000000000000000000000 --into ~/app",
                about: "Also for a task in a remote repository that was not pushed"
            ),
        ],
        discussion: """
            The branch gets the task's own name. A branch of that name with other commits stays as it is, and the new one
            is called NAME-2. What is checked out is never touched.
            """
    ) { arguments, terminal in
        let repository = try LocalRepository(
            arguments.text("into") ?? ".",
            field: "--into",
            environment: terminal.environment
        )
        return try await ServerSession.with(arguments, terminal) { session in
            let execution: Execution = try await session.client.call(
                .executionGet,
                path: ["executionId": arguments.operands[0]]
            )
            guard let branch = try await session.fetch(execution, into: repository) else {
                throw BerthError(
                    .notFound,
                    "\(execution.id) made no new commits",
                    remedy: "see what it did with 'berth logs \(execution.id)'"
                )
            }
            if session.isJSON {
                try session.print(FetchedBranch(branch, in: repository)) { "" }
            } else {
                session.tell(branch, of: execution, in: repository)
            }
            return 0
        }
    }
}
