import Base
import EventLoop
import Testing

@testable import Transport

/// Seeded mutations of good input: whatever comes, nothing may crash, hang or be taken for something else.
@Suite struct FuzzTests {
    static func mutate(_ bytes: [UInt8], _ randomness: SeededRandomness) -> [UInt8] {
        var bytes = bytes
        for _ in 0...Int(randomness.next() % 4) {
            let at = Int(randomness.next() % UInt64(bytes.count))
            switch randomness.next() % 4 {
            case 0: bytes[at] = UInt8(truncatingIfNeeded: randomness.next())
            case 1: bytes.insert(UInt8(truncatingIfNeeded: randomness.next()), at: at)
            case 2 where bytes.count > 1: bytes.remove(at: at)
            default: bytes[at] ^= 1 << UInt8(randomness.next() % 8)
            }
        }
        return bytes
    }

    @Test func `a WebSocket parser survives any bytes within its limits`() throws {
        let randomness = SeededRandomness(seed: 4)
        var good: [UInt8] = []
        for (first, length) in [(0x81, 5), (0x02, 300), (0x89, 3), (0x80, 70), (0x88, 2)] as [(UInt8, Int)] {
            var header: [UInt8] = []
            WebSocketEncoder.appendHeader(.text, length: length, mask: 0, to: &header)
            header[0] = first
            good += header + [UInt8](repeating: 0x03, count: length)
        }
        for _ in 0..<20_000 {
            let bytes = Self.mutate(good, randomness)
            var parser = WebSocketParser(role: .server, maximumMessageBytes: 1000)
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = rest.prefix(1 + Int(randomness.next() % 64))
                rest = rest.dropFirst(piece.count)
                let isOver = piece.withUnsafeBytes { input -> Bool in
                    var input = input
                    do throws(WebSocketViolation) {
                        while let event = try parser.next(&input) {
                            if case .binary(let message) = event { #expect(message.count <= 1000) }
                        }
                        return false
                    } catch {
                        return true
                    }
                }
                if isOver || parser.isClosed { break }
            }
        }
    }

    @Test func `an HTTP server survives mutated requests and still serves`() async throws {
        let good = Array(
            ("POST /a/b?c=d HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
                + "GET / HTTP/1.1\r\nhost: x\r\n\r\nPUT /x HTTP/1.1\r\nhost: y\r\ntransfer-encoding: chunked\r\n\r\n"
                + "2\r\nhi\r\n0\r\n\r\n").utf8
        )
        try await withServer(handler: HTTPServerTests.echo) { server, loop, address in
            let randomness = SeededRandomness(seed: 17)
            for _ in 0..<300 {
                let peer = try await RawPeer.connect(address, on: loop)
                try await peer.send(Self.mutate(good, randomness))
                _ = try await peer.receive(count: 1, orAfter: .milliseconds(20))
                try await peer.close()
            }
            let client = HTTPClient(loop: loop)
            #expect(try await client.fetch(.init(.get, address.url())).0 == 200)
            await client.close()
        }
    }
}
