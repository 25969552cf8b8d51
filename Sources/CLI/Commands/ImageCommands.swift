import API
import Base
import Client
import Domain
import Glibc

/// `images …`: what environments can be made from.
enum ImageCommands {
    static let all = [list, importing, remove]

    private static let name = Operand(name: "IMAGE", count: .one, about: "name and tag, such as team/tools:1")
    private static let provider = Option.value("provider", "PROVIDER", "Whose image; default docker.")

    private static let list = Command(
        path: ["images", "ls"],
        summary: "List what environments can be made from.",
        examples: [Example(line: "berth images ls", about: "Of every provider")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<Image> = try await session.client.call(.imageList)
            try session.print(page) {
                var table = Table(header: ["PROVIDER", "NAME", "AVAILABLE", "DEFAULT", "SIZE", "AGE"])
                for image in page.items {
                    table.rows.append([
                        image.provider.rawValue, image.name, image.isAvailable ? "yes" : "no",
                        image.isDefault ? "yes" : "", image.bytes.map { SizeText.text($0) } ?? "-",
                        image.createdAt.map { terminal.age($0) } ?? "-",
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let importing = Command(
        path: ["images", "import"],
        summary: "Take in a root file system that environments can be made from.",
        operands: [name, Operand(name: "ARCHIVE", count: .one, about: "a tar file, plain or compressed")],
        options: [provider],
        examples: [Example(line: "berth images import team/tools:1 root.tar", about: "Then: --image team/tools:1")],
        discussion: "What had the name is replaced; environments that exist keep what they were made from."
    ) { arguments, terminal in
        let path = arguments.operands[1]
        let file = open(path, O_RDONLY | O_CLOEXEC)
        var status = stat()
        guard file >= 0, fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            if file >= 0 { close(file) }
            throw BerthError(.notFound, "\(path) is no file that can be read", field: "ARCHIVE")
        }
        defer { close(file) }
        let bytes = Int64(status.st_size)
        return try await ServerSession.with(arguments, terminal) { session in
            let made = try await session.client.importImage(
                file,
                bytes: bytes,
                as: arguments.operands[0],
                of: ProviderKind(rawValue: arguments.text("provider") ?? ProviderKind.docker.rawValue)
            )
            try session.print(made) { "\(made.name): \(made.bytes.map { SizeText.text($0) } ?? "imported")\n" }
            return 0
        }
    }

    private static let remove = Command(
        path: ["images", "rm"],
        summary: "Remove an image that no environment is made from.",
        operands: [name],
        options: [provider],
        examples: [Example(line: "berth images rm team/tools:1", about: "Its space is free")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let query = [
                ("name", arguments.operands[0]),
                ("provider", arguments.text("provider") ?? ProviderKind.docker.rawValue),
            ]
            let removed: Image = try await session.client.call(.imageRemove, query: query)
            try session.print(removed) { "\(removed.name): removed\n" }
            return 0
        }
    }
}
