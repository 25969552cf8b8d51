internal import Base
internal import Glibc
internal import WorkerProtocol
internal import WorkspaceTypes

/// The program's side of a request's stream, on one blocking socket.
final class FileConversation {
    let socket: CInt
    private var parser = BulkFrame.Parser()
    private var buffer = [UInt8](repeating: 0, count: 128 << 10)

    init(socket: CInt) { self.socket = socket }

    /// Nobody listens any more: there is nobody left to tell.
    struct Gone: Error {}

    func send(_ frame: BulkFrame) throws(Gone) { try write(frame.encoded()) }

    func send(item: some Encodable) throws { try send(.item(try JSONText.encode(item))) }

    func end(_ result: some Encodable) throws { try send(.end(try JSONText.encode(result))) }

    func end() throws(Gone) { try send(.end([])) }

    func refuse(_ error: BerthError) {
        try? send(.refusal((try? JSONText.encode(ServiceRefusal(error))) ?? []))
    }

    /// What is in `bytes`, as data.
    func send(data bytes: [UInt8]) throws(Gone) {
        try write(BulkFrame.dataHeader(count: bytes.count))
        try write(bytes)
    }

    private func write(_ bytes: [UInt8]) throws(Gone) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Gone() }
            sent += count
        }
    }

    /// The next piece of what the caller sends; nil at its end. Throws ``Gone`` when it was cut off: what came then is
    /// not whole.
    func receive() throws -> ArraySlice<UInt8>? {
        while true {
            if let frame = try parser.next() {
                switch frame {
                case .data(let bytes): return bytes
                case .end: return nil
                case .item, .refusal: throw Gone()
                }
            }
            let count = read(socket, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Gone() }
            parser.append(buffer[..<count])
        }
    }
}
