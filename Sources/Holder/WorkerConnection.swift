internal import Glibc
internal import HolderProtocol

/// One connected worker: frames in, frames and descriptors out.
struct WorkerConnection {
    /// A worker that does not read its replies is cut off; it loses nothing, a new one asks again.
    static let maximumBacklog = 8 << 20

    let id: ConnectionID
    let socket: Int32
    private var input = FrameBuffer()
    private var descriptors: [Int32] = []
    private var output: [(bytes: ArraySlice<UInt8>, descriptors: [Int32])] = []
    private var backlog = 0

    init(id: ConnectionID, socket: Int32) {
        self.id = id
        self.socket = socket
    }

    var hasBacklog: Bool { !output.isEmpty }

    struct Incoming {
        var request: Request
        var number: UInt64
        var descriptor: Int32?
    }

    /// Reads what has arrived. False when the connection is over.
    mutating func receive() -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 8) { buffer in
            while true {
                switch DescriptorSocket.receive(into: buffer, descriptors: &descriptors, from: socket) {
                case .bytes(let count): input.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                case .wouldBlock: return true
                case .closed: return false
                }
            }
        }
    }

    mutating func nextRequest() throws(WireError) -> Incoming? {
        guard let frame = try input.next() else { return nil }
        let count = Int(frame.header.descriptorCount)
        guard count <= 1, descriptors.count >= count else { throw .missingDescriptor }
        let descriptor = count == 1 ? descriptors.removeFirst() : nil
        do {
            let request = try Request(frame)
            return Incoming(request: request, number: frame.header.number, descriptor: descriptor)
        } catch {
            if let descriptor { Glibc.close(descriptor) }
            throw error
        }
    }

    /// False when the connection is over. `descriptors` are sent, not taken: they are duplicated by the kernel at once or
    /// kept as duplicates of our own.
    mutating func send(_ message: HolderMessage, descriptors: [Int32] = []) -> Bool {
        var bytes = message.frame[...]
        if output.isEmpty {
            let sent = bytes.withUnsafeBytes { DescriptorSocket.send($0, descriptors: descriptors, to: socket) }
            if sent < 0 { return false }
            bytes = bytes.dropFirst(sent)
            if bytes.isEmpty { return true }
            if sent > 0 {
                output.append((bytes, []))
                backlog += bytes.count
                return backlog <= Self.maximumBacklog
            }
        }
        output.append((bytes, descriptors.map { fcntl($0, F_DUPFD_CLOEXEC, 3) }.filter { $0 >= 0 }))
        backlog += bytes.count
        return backlog <= Self.maximumBacklog
    }

    mutating func flush() -> Bool {
        while let first = output.first {
            let sent = first.bytes.withUnsafeBytes {
                DescriptorSocket.send($0, descriptors: first.descriptors, to: socket)
            }
            if sent < 0 { return false }
            if sent == 0 { return true }
            for descriptor in first.descriptors { Glibc.close(descriptor) }
            backlog -= sent
            let rest = first.bytes.dropFirst(sent)
            if rest.isEmpty { output.removeFirst() } else { output[0] = (rest, []) }
        }
        return true
    }

    mutating func close() {
        for descriptor in descriptors + output.flatMap(\.descriptors) { Glibc.close(descriptor) }
        descriptors = []
        output = []
        Glibc.close(socket)
    }
}
