import API
import Base
import Client
import Domain

/// `env snapshot`, `env snapshots`, `env fork` and `env restore`.
enum SnapshotCommands {
    static let all = [snapshot, snapshots, fork, restore]

    private static let operand = Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment")
    private static let from = Option.value("snapshot", "ID", "This snapshot; see 'berth env snapshots'.")

    private static let snapshot = Command(
        path: ["env", "snapshot"],
        summary: "Keep an environment as it is now, memory and disk, where its provider can.",
        operands: [operand],
        options: [.flag("no-wait", "Return before it is kept.")],
        examples: [Example(line: "berth env snapshot build", about: "Before something that may go wrong")],
        discussion: """
            It is held for a moment and runs on. A snapshot goes with its environment; what was forked from it lives on.
            """
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let path = ["environmentId": arguments.operands[0]]
            var made: EnvironmentSnapshot = try await session.client.call(.snapshotCreate, path: path)
            while !arguments.has("no-wait"), made.status == SnapshotState.making.rawValue {
                made = try await session.client.call(
                    .snapshotGet,
                    path: path.merging(["snapshotId": made.id.text]) { $1 },
                    query: [("waitMs", "20000")]
                )
            }
            if let failure = made.failure { throw BerthError(failure.code, failure.message, remedy: failure.remedy) }
            try session.print(made) { "\(made.id): \(made.status)\n" }
            return 0
        }
    }

    private static let snapshots = Command(
        path: ["env", "snapshots"],
        summary: "List the snapshots of an environment, newest first, or remove one.",
        operands: [operand],
        options: [.value("remove", "ID", "Remove this one; what was forked from it lives on.")],
        examples: [
            Example(line: "berth env snapshots build", about: "A table"),
            Example(
                line: "berth env snapshots build --remove snap_01jd0000000000000000000000",
                about: "Its space is free"
            ),
        ]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let path = ["environmentId": arguments.operands[0]]
            if let id = arguments.text("remove") {
                let removed: EnvironmentSnapshot = try await session.client.call(
                    .snapshotRemove,
                    path: path.merging(["snapshotId": id]) { $1 }
                )
                try session.print(removed) { "\(removed.id): \(removed.status)\n" }
                return 0
            }
            let page: Page<EnvironmentSnapshot> = try await session.client.call(.snapshotList, path: path)
            try session.print(page) {
                var table = Table(header: ["ID", "STATUS", "BOOT", "MADE", "BECAUSE"])
                for item in page.items {
                    table.rows.append([
                        item.id.text, item.status, "\(item.instance)", terminal.age(item.createdAt),
                        item.failure?.message ?? (item.isTransient ? "for a fork" : ""),
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let fork = Command(
        path: ["env", "fork"],
        summary: "Make another environment that goes on from this one, with its files and processes.",
        operands: [operand, Operand(name: "NAME", count: .optional, about: "of the fork; default: one is made up")],
        options: [from, .flag("no-wait", "Return before it runs.")],
        examples: [
            Example(line: "berth env fork build try-it", about: "From what it is now"),
            Example(
                line: "berth env fork build --snapshot snap_01jd0000000000000000000000",
                about: "From what it was then"
            ),
        ]
    ) { arguments, terminal in
        let request = ForkEnvironment(
            name: arguments.operands.count > 1 ? arguments.operands[1] : nil,
            snapshotId: try arguments.text("snapshot").map { try SnapshotID($0) }
        )
        return try await ServerSession.with(arguments, terminal) { session in
            let made: API.Environment = try await session.client.call(
                .environmentFork,
                path: ["environmentId": arguments.operands[0]],
                body: request
            )
            let end = arguments.has("no-wait") ? made : try await session.settle(made, toward: "running")
            return try session.show(end, wanted: "running", waited: !arguments.has("no-wait"))
        }
    }

    private static let restore = Command(
        path: ["env", "restore"],
        summary: "Go back to a snapshot and run on from there; what came after it is lost.",
        operands: [operand],
        options: [from, .flag("no-wait", "Return before it runs.")],
        examples: [Example(line: "berth env restore build", about: "To the newest")]
    ) { arguments, terminal in
        let request = RestoreEnvironment(snapshotId: try arguments.text("snapshot").map { try SnapshotID($0) })
        return try await ServerSession.with(arguments, terminal) { session in
            let accepted: API.Environment = try await session.client.call(
                .environmentRestore,
                path: ["environmentId": arguments.operands[0]],
                body: request
            )
            if arguments.has("no-wait") { return try session.show(accepted, wanted: "running", waited: false) }
            let end = try await session.settle(accepted, toward: "running")
            return try session.show(end, wanted: "running", waited: true)
        }
    }
}
