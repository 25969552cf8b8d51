import Base
import Glibc
import Testing
import WorkerProtocol
import WorkspaceCalls
import WorkspaceFiles
import WorkspaceTypes

/// The caller's side of the file program, on a socket with a deadline.
struct FileTalk {
    let root: String

    init(_ root: String) { self.root = root }

    struct Answer {
        var items: [[UInt8]] = []
        var data: [UInt8] = []
        /// nil where it broke off.
        var end: [UInt8]?
        var error: BerthError?

        func value<Value: Decodable>(_: Value.Type = Value.self) throws -> Value {
            if let error { throw error }
            return try JSONText.decode(Value.self, from: try #require(end))
        }
    }

    /// - Parameter isCut: the stream ends without its end.
    func ask(_ action: FileAction, data: [[UInt8]] = [], isCut: Bool = false) throws -> Answer {
        let stream = try open(action)
        for piece in data { stream.send(BulkFrame.data(piece[...]).encoded()) }
        if isCut { stream.endOutput() } else { stream.send(BulkFrame.end([]).encoded()) }
        var answer = Answer()
        while let frame = try stream.next() {
            switch frame {
            case .item(let bytes): answer.items.append(bytes)
            case .data(let bytes): answer.data += bytes
            case .end(let bytes): answer.end = bytes
            case .refusal(let bytes): answer.error = try JSONText.decode(ServiceRefusal.self, from: bytes).error
            }
        }
        return answer
    }

    func open(_ action: FileAction) throws -> Stream {
        var pair: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        try LocalTree.serve(action, below: root, socket: pair[1])
        return Stream(pair[0])
    }

    final class Stream {
        private let socket: Int32
        private var parser = BulkFrame.Parser()

        init(_ socket: Int32) { self.socket = socket }

        deinit { close(socket) }

        /// A program that wants no more has closed its end.
        func send(_ bytes: [UInt8]) {
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    Glibc.send(socket, $0.baseAddress, $0.count, Int32(truncatingIfNeeded: MSG_NOSIGNAL))
                }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }

        func endOutput() { shutdown(socket, Int32(SHUT_WR)) }

        /// nil at the end. Throws after 30 s of silence.
        func next() throws -> BulkFrame? {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                if let frame = try parser.next() { return frame }
                let count = read(socket, &buffer, buffer.count)
                if count == 0 || (count < 0 && errno == ECONNRESET) { return nil }
                try #require(count > 0, "the file program says nothing")
                parser.append(buffer[..<count])
            }
        }

        func changes() throws -> [FileChange] {
            guard case .item(let bytes)? = try next() else { throw BerthError(.internal, "no item came") }
            return try JSONText.decode([FileChange].self, from: bytes)
        }
    }
}
