import API
import Base
import Domain
import Executions
import Transport

/// `vm.executeCodeStream`: events `stdout`, `stderr`, then `exit` or `error`.
extension ServerCore {
    private static let pieceBytes = 64 << 10

    func documentedStream(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let call = try await DocumentedProcedure(context, limit: configuration.maximumBodyBytes)
        let id = try await launchCode(call, principal).id
        return HTTPResponse(
            headers: ["cache-control": "no-store"],
            body: .events { [self] writer in
                sessions.add(writer, key: principal.keyID)
                metrics.add(.eventStreams, 1)
                defer { metrics.add(.eventStreams, -1) }
                try await stream(id, principal, to: writer)
            }
        )
    }

    private func stream(_ id: ExecutionID, _ principal: Principal, to writer: EventWriter) async throws {
        let bell = executions.bell(for: id)
        let news = Wakeup()
        let listener = bell.listen { _ in news.ring() }
        defer { bell.stopListening(listener) }
        var offsets: [Domain.OutputStream: Int64] = [:]
        while true {
            let count = news.count
            let record = try await executions.get(id, by: principal)
            if record.attempt > 0 {
                for stream in Domain.OutputStream.allCases {
                    offsets[stream] = try await send(stream, of: record, from: offsets[stream] ?? 0, to: writer)
                }
            }
            if record.state.isTerminal {
                let (event, data): (String, JSONValue) =
                    if let code = record.exitCode {
                        ("exit", .object(["exitCode": .integer(Int64(code))]))
                    } else {
                        ("error", .object(["message": JSONValue(record.failure?.message ?? "it has no exit status")]))
                    }
                return try await writer.send(event: event, data: String(decoding: JSONBody.encode(data), as: UTF8.self))
            }
            try await draining.wait { try await news.wait(after: count) }
        }
    }

    /// Returns where it stopped: a character whose bytes have not all come waits for them.
    private func send(
        _ stream: Domain.OutputStream,
        of record: ExecutionRecord,
        from start: Int64,
        to writer: EventWriter
    ) async throws -> Int64 {
        var offset = start
        while true {
            let slice = try await executions.output(of: record, stream, from: offset, limit: Self.pieceBytes)
            let isLast = record.state.isTerminal && slice.offset + Int64(slice.bytes.count) >= slice.storedBytes
            let bytes = isLast ? slice.bytes[...] : Self.whole(slice.bytes)
            guard !bytes.isEmpty else { return offset }
            offset = slice.offset + Int64(bytes.count)
            let data = JSONValue.object(["data": .string(String(decoding: bytes, as: UTF8.self))])
            try await writer.send(
                event: stream.rawValue,
                data: String(decoding: try JSONBody.encode(data), as: UTF8.self)
            )
        }
    }

    /// Without the start of a character at the end that is not all there (RFC 3629).
    private static func whole(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        for back in 1...3 where back <= bytes.count {
            let byte = bytes[bytes.count - back]
            if byte & 0xC0 == 0x80 { continue }
            let length = byte & 0xE0 == 0xC0 ? 2 : byte & 0xF0 == 0xE0 ? 3 : byte & 0xF8 == 0xF0 ? 4 : 1
            return length > back ? bytes.dropLast(back) : bytes[...]
        }
        return bytes[...]
    }
}
