internal import Base
internal import EventLoop
internal import FoundationEssentials
internal import Glibc
internal import HolderProtocol

/// One conversation with a machine's QEMU over its monitor socket (QMP, a JSON value per line). QEMU speaks to one caller
/// at a time and lets others wait, so a conversation is short and has a deadline.
struct QEMUMonitor: Sendable {
    private let socket: Descriptor
    private let buffer: LineBox

    /// What has come and was not read yet; touched by one conversation alone.
    private actor LineBox {
        private var bytes: [UInt8] = []

        func line(from socket: Descriptor) async throws -> [UInt8] {
            while true {
                if let end = bytes.firstIndex(of: 0x0A) {
                    let line = Array(bytes[..<end])
                    bytes.removeFirst(end + 1)
                    return line
                }
                try await socket.readable()
                var part = [UInt8](repeating: 0, count: 65536)
                let count = read(socket.fileDescriptor, &part, part.count)
                if count > 0 {
                    bytes += part.prefix(count)
                } else if count == 0 || (errno != EAGAIN && errno != EINTR) || bytes.count > 1 << 20 {
                    throw BerthError(.environmentLost, "the machine's monitor has closed", isRetryable: true)
                }
            }
        }
    }

    /// Runs `body` with the monitor at `path`; `timedOut` when it takes longer than `deadline`.
    static func with<Result: Sendable>(
        _ path: String,
        deadline: Duration,
        loop: EventLoop,
        time: any TimeSource,
        _ body: @escaping @Sendable (QEMUMonitor) async throws -> Result
    ) async throws -> Result {
        var descriptor = UnixSocket.connect(to: path)
        // Between the making of the socket and the listening on it.
        for _ in 0..<100 where descriptor == -ECONNREFUSED {
            try await time.wait(for: .milliseconds(5))
            descriptor = UnixSocket.connect(to: path)
        }
        guard descriptor >= 0 else {
            throw BerthError(
                .unavailable,
                "the machine's monitor does not answer: \(String(cString: strerror(-descriptor)))",
                isRetryable: true
            )
        }
        let monitor = QEMUMonitor(
            socket: Descriptor(descriptor, loop: loop, closingFile: true),
            buffer: LineBox()
        )
        defer { monitor.socket.closeSoon() }
        return try await withDeadline(deadline, time: time, what: "the machine's monitor") {
            _ = try await monitor.buffer.line(from: monitor.socket)
            try await monitor.run("qmp_capabilities")
            return try await body(monitor)
        }
    }

    /// The answer's `return`. `descriptor` goes with the command.
    @discardableResult
    func run(_ command: String, _ arguments: [String: JSONValue] = [:], descriptor: Int32? = nil) async throws
        -> JSONValue
    {
        let message = JSONValue.object(["execute": .string(command), "arguments": .object(arguments)])
        var rest = Array((message.text + "\n").utf8)[...]
        var descriptors = descriptor.map { [$0] } ?? []
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes {
                DescriptorSocket.send($0, descriptors: descriptors, to: socket.fileDescriptor)
            }
            guard sent >= 0 else { throw BerthError(.environmentLost, "the machine's monitor has closed") }
            if sent == 0 {
                try await socket.writable()
            } else {
                descriptors = []
                rest = rest.dropFirst(sent)
            }
        }
        while true {
            let answer = try JSONValue(parsing: try await buffer.line(from: socket))
            if let error = answer["error"] {
                throw BerthError(
                    .unavailable,
                    "the machine refused '\(command)'",
                    detail: error["desc"]?.string ?? error.text,
                    isRetryable: true
                )
            }
            if let result = answer["return"] { return result }
            // Events come in between.
        }
    }

    /// `running`, `paused`, `inmigrate` … (QEMU's RunState).
    func status() async throws -> String { try await run("query-status")["status"]?.string ?? "" }
}
