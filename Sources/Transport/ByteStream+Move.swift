internal import Base
internal import EventLoop
internal import OpenSSL

/// A connection on its way from one loop to another: `@unchecked Sendable` because whoever made it keeps nothing of it.
struct DetachedStream: @unchecked Sendable {
    fileprivate let descriptor: CInt
    fileprivate let unsent: [UInt8]
    fileprivate let tls: TLSSession?
    fileprivate let plain: [UInt8]
    fileprivate let writeStallLimit: Duration?
}

extension ByteStream {
    /// Takes the connection off its loop; the stream is closed afterwards and its sink is told nothing. nil when it was
    /// closed already.
    func detach() -> DetachedStream? {
        sink = nil
        guard let (descriptor, unsent) = socket.detach() else { return nil }
        return DetachedStream(
            descriptor: descriptor,
            unsent: unsent,
            tls: tls,
            plain: plain,
            writeStallLimit: socket.writeStallLimit
        )
    }

    /// The connection on `loop`, which is the current one.
    convenience init(_ detached: DetachedStream, on loop: EventLoop) throws(BerthError) {
        let socket = try Socket(adopting: detached.descriptor, loop: loop)
        socket.writeStallLimit = detached.writeStallLimit
        self.init(socket, tls: detached.tls)
        detached.unsent.withUnsafeBytes { socket.write($0) }
        if !detached.plain.isEmpty { write(detached.plain) }
    }
}
