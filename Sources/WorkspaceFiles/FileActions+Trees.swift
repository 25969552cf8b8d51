internal import Base
internal import Glibc
internal import WorkspaceTypes

extension FileActions {
    func download(_ path: String) throws {
        let place = try tree.place(path, follows: true)
        let status = try place.existing()
        try conversation.send(item: FileEntry(place, status))
        var pieces = PieceGatherer(conversation)
        var packer = TreePacker { try pieces.put($0) }
        if place.isDirectory {
            try packer.pack(directory: try tree.directory(place))
        } else {
            try packer.pack(place.name, in: place.directory)
        }
        try pieces.flush()
        try conversation.end(packer.tally)
    }

    func upload(_ path: String) throws {
        try tree.makeDirectories(path)
        _ = try tree.directory(try tree.place(path, follows: true))
        var unpacker = TreeUnpacker(tree, at: path)
        while let bytes = try conversation.receive() { try unpacker.take(bytes) }
        try unpacker.finish()
        try conversation.end(unpacker.tally)
    }
}

/// Small writes as one frame.
private struct PieceGatherer {
    private let conversation: FileConversation
    private var bytes: [UInt8] = []

    init(_ conversation: FileConversation) { self.conversation = conversation }

    mutating func put(_ more: [UInt8]) throws {
        bytes += more
        if bytes.count >= BulkFrame.pieceBytes { try flush() }
    }

    mutating func flush() throws {
        guard !bytes.isEmpty else { return }
        try conversation.send(data: bytes)
        bytes.removeAll(keepingCapacity: true)
    }
}
