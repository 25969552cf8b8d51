import Base
import EventLoop
import Testing

@testable import Transport

@Suite struct EventBlockTests {
    @Test func `events are encoded as one chunk, and without it where the connection's end ends the stream`() {
        var encoder = EventEncoder()
        #expect(encoder.isEmpty)
        encoder.append(event: "a\nb", id: "1\r\0", data: "x\r\ny\rz\n".utf8)
        encoder.append(event: "e", id: "2") { $0.append(contentsOf: "{}".utf8) }
        let block = encoder.finish()
        let events = "event: ab\nid: 1\ndata: x\ndata: y\ndata: z\ndata: \n\nevent: e\nid: 2\ndata: {}\n\n"
        #expect(String(decoding: block.events, as: UTF8.self) == events)
        let chunk = block.withChunk { String(decoding: $0, as: UTF8.self) }
        #expect(chunk == String(events.utf8.count, radix: 16) + "\r\n" + events + "\r\n")
        #expect(EventEncoder().finish().isEmpty)
    }

    @Test(arguments: [1, 15, 16, 255, 4096, 70_000]) func `a chunk's size has no more digits than it needs`(count: Int)
    {
        var encoder = EventEncoder()
        encoder.append(data: [UInt8](repeating: 0x78, count: count))
        let block = encoder.finish()
        let size = String(count + 8, radix: 16)
        #expect(block.events.count == count + 8)
        #expect(block.withChunk { String(decoding: $0, as: UTF8.self) }.hasPrefix(size + "\r\ndata: x"))
    }
}

@Suite struct EventWriterTests {
    @Test func `a slow client is refused, costs bounded memory, and gets what it took`() async throws {
        let piece = 100_000
        let taken = Counter()
        let opening = Wakeup()
        let handler: HTTPHandler = { request in
            HTTPResponse(
                body: .events { writer in
                    var encoder = EventEncoder()
                    encoder.append(data: [UInt8](repeating: 0x78, count: piece))
                    let block = encoder.finish()
                    // The kernel's buffers fill first.
                    while taken.value < 1000, writer.offer(block) { taken.add(1) }
                    opening.ring()
                    try await writer.drained()
                    _ = writer.offer(block)
                }
            )
        }
        try await withServer(handler: handler) { _, loop, address in
            let peer = try await RawPeer.connect(address, on: loop, reading: false)
            try await peer.send("GET / HTTP/1.0\r\n\r\n")
            try await opening.wait(after: 0, until: loop.time.uptime + .seconds(20), time: loop.time)
            #expect((1..<1000).contains(taken.value))
            try await peer.resumeReading()
            let answer = try await peer.receiveAll()
            let head = try #require(answer.firstRange(of: "\r\n\r\n"))
            #expect(answer[head.upperBound...].utf8.count == (taken.value + 1) * (piece + 8))
        }
    }
}
