import Base
import EventLoop
import Glibc
import Synchronization
import WorkspaceCalls
import WorkspaceFiles
import WorkspaceTypes

/// This side of a thread that packs or unpacks a directory of this machine.
final class LocalTreePipe: Sendable {
    private let watched: Descriptor
    private let parser = Mutex(BulkFrame.Parser())
    /// What the other side said at its end.
    private let result = Mutex<Result<[UInt8], BerthError>?>(nil)

    init(_ action: FileAction, below root: String, loop: EventLoop) throws(BerthError) {
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            throw BerthError(.internal, "no descriptor is left")
        }
        watched = Descriptor(pair[0], loop: loop, closingFile: true)
        _ = fcntl(pair[0], F_SETFL, fcntl(pair[0], F_GETFL) | O_NONBLOCK)
        do {
            try LocalTree.serve(action, below: root, socket: pair[1])
        } catch {
            close(pair[1])
            throw error
        }
    }

    deinit { watched.closeSoon() }

    /// The next bytes of what is packed; nil at its end.
    func next() async throws -> [UInt8]? {
        while true {
            switch try await frame() {
            case .data(let bytes): return Array(bytes)
            case .item: continue
            case .end(let bytes):
                result.withLock { $0 = .success(bytes) }
                return nil
            case .refusal(let bytes): throw Self.refusal(bytes)
            }
        }
    }

    /// Hands over a piece to be unpacked.
    func send(_ bytes: [UInt8]) async throws {
        for start in stride(from: 0, to: bytes.count, by: BulkFrame.maximumPayload) {
            let piece = bytes[start..<min(start + BulkFrame.maximumPayload, bytes.count)]
            try await write(BulkFrame.data(piece).encoded())
        }
    }

    /// Says that nothing follows, and returns what came of it.
    func finish() async throws -> FileTally {
        try await write(BulkFrame.end([]).encoded())
        return try await tally()
    }

    /// What was packed, or unpacked. Throws what went wrong.
    func tally() async throws -> FileTally {
        let known = result.withLock { $0 }
        let bytes: [UInt8]
        if let known {
            bytes = try known.get()
        } else {
            switch try await frame() {
            case .end(let end): bytes = end
            case .refusal(let bytes): throw Self.refusal(bytes)
            case .data, .item: throw Self.broken
            }
        }
        return try JSONText.decode(FileTally.self, from: bytes)
    }

    private func frame() async throws -> BulkFrame {
        var buffer = [UInt8](repeating: 0, count: 128 << 10)
        while true {
            if let frame = try parser.withLock({ parser in try parser.next() }) { return frame }
            let count = read(watched.fileDescriptor, &buffer, buffer.count)
            if count > 0 {
                parser.withLock { $0.append(buffer[..<count]) }
            } else if count < 0, errno == EAGAIN {
                try await watched.readable()
            } else if count == 0 || errno != EINTR {
                throw Self.broken
            }
        }
    }

    private func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(watched.fileDescriptor, $0.baseAddress, $0.count, Int32(truncatingIfNeeded: MSG_NOSIGNAL))
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                try await watched.writable()
            } else if errno != EINTR {
                // It says why before it closes.
                _ = try await tally()
                throw Self.broken
            }
        }
    }

    private static func refusal(_ bytes: [UInt8]) -> BerthError {
        struct Refusal: Decodable {
            var code: ErrorCode
            var message: String
            var field: String?
            var remedy: String?
        }
        guard let known = try? JSONText.decode(Refusal.self, from: bytes) else { return broken }
        return BerthError(known.code, known.message, field: known.field, remedy: known.remedy)
    }

    private static var broken: BerthError { BerthError(.internal, "the copy broke off on this machine") }
}
