internal import Base
internal import EventLoop

// Bodies that are sent in pieces, and compressed ones.
extension ServerConnection {
    /// Compressed at once.
    private static let pieceBytes = 64 * 1024
    /// Read at once, and held while the client takes them.
    private static let fileBytes = 256 * 1024

    /// Sends an answer that `prepared(for:)` has made ready, but for events and WebSockets.
    func sendBody(_ response: HTTPResponse, _ exchange: Exchange) async throws {
        guard response.isGzipped else { return try await sendPlain(response, exchange) }
        let isStream = if case .stream = response.body { true } else { false }
        guard let gzip = place.compressors.take(flushesEachPiece: isStream) else {
            var plain = response
            plain.decline()
            return try await sendPlain(plain, exchange)
        }
        let place = place
        defer { place.compressors.giveBack(gzip) }
        try await sendCompressed(response, exchange, gzip)
    }

    private func sendPlain(_ response: HTTPResponse, _ exchange: Exchange) async throws {
        let isHead = exchange.request.method == .head
        switch response.body {
        case .bytes(let bytes):
            writeHead(response, exchange, length: bytes.count)
            if !isHead, Self.mayHaveBody(response.status) { stream.write(bytes) }
        case .stream(let length, let produce):
            let writer = writeHead(response, exchange, length: length)
            if !isHead { try await produce(writer) }
            try writer.finish()
        case .file(let file, let range):
            let range = range ?? 0..<file.length
            let writer = writeHead(response, exchange, length: Int(range.count))
            if !isHead { try await send(file, range, to: writer) }
            try writer.finish()
        case .events, .webSocket, .webSocketHandOver: return
        }
    }

    private func sendCompressed(_ response: HTTPResponse, _ exchange: Exchange, _ gzip: GzipWriter) async throws {
        let isHead = exchange.request.method == .head
        // Compressing on the loop delays everybody else on it, so what is long goes in pieces, with turns in between.
        if case .bytes(let bytes) = response.body, bytes.count <= Self.pieceBytes, !isHead {
            let packed = gzip.encodeWhole(bytes)
            writeHead(response, exchange, length: packed.count)
            return stream.write(packed)
        }
        let writer = writeHead(response, exchange, length: nil)
        guard !isHead else { return try writer.finish() }
        writer.gzip = gzip
        // The pool takes it back at the end, whoever still holds the writer.
        defer { writer.gzip = nil }
        switch response.body {
        case .bytes(let bytes):
            for start in stride(from: 0, to: bytes.count, by: Self.pieceBytes) {
                try await writer.write(Array(bytes[start..<min(start + Self.pieceBytes, bytes.count)]))
                await Task.yield()
            }
        case .stream(_, let produce): try await produce(writer)
        case .file(let file, _): try await send(file, 0..<file.length, to: writer)
        case .events, .webSocket, .webSocketHandOver: return
        }
        try writer.finish()
    }

    private func send(_ file: OpenFile, _ range: Range<Int64>, to writer: BodyWriter) async throws {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let limit = writer.gzip == nil ? Self.fileBytes : Self.pieceBytes
            let count = Int(min(Int64(limit), range.upperBound - offset))
            let piece = try await file.read(at: offset, count: count, on: loop)
            guard !piece.isEmpty else { throw BerthError(.internal, "a file became shorter while it was sent") }
            offset += Int64(piece.count)
            try await writer.write(piece)
        }
    }
}
