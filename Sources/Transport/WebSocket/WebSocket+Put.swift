internal import Base
internal import EventLoop

extension WebSocket {
    /// Sends a binary message made of `head` (at most 32 bytes) and `payload` without waiting: whoever sends much looks
    /// at ``isCongested`` and goes on when ``WebSocketSink/webSocketProgressed()`` is called. Returns false, and sends
    /// nothing, once the WebSocket is closing. On the loop.
    @discardableResult
    public func put(
        binary payload: UnsafeRawBufferPointer,
        behind head: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) -> Bool {
        loop.preconditionCurrent()
        guard isWritable else { return false }
        if role == .client { return putMasked(head, payload) }
        withUnsafeTemporaryAllocation(byteCount: 48, alignment: 8) { buffer in
            guard let start = buffer.baseAddress else { return }
            var count = Self.writeHead(length: head.count + payload.count, mask: nil, to: start)
            if let bytes = head.baseAddress {
                (start + count).copyMemory(from: bytes, byteCount: head.count)
                count += head.count
            }
            stream.write(UnsafeRawBufferPointer(start: start, count: count))
        }
        stream.write(payload)
        return true
    }

    private func putMasked(_ head: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer) -> Bool {
        let mask = UInt32(truncatingIfNeeded: randomness.next())
        let length = head.count + payload.count
        withUnsafeTemporaryAllocation(byteCount: 16 + length, alignment: 16) { buffer in
            guard let start = buffer.baseAddress else { return }
            let count = Self.writeHead(length: length, mask: mask, to: start)
            let body = UnsafeMutableRawBufferPointer(start: start + count, count: length)
            if head.count > 0 { body.copyBytes(from: head) }
            if payload.count > 0 {
                UnsafeMutableRawBufferPointer(rebasing: body[head.count...]).copyBytes(from: payload)
            }
            WebSocketMask.apply(mask, offset: 0, to: body)
            stream.write(UnsafeRawBufferPointer(start: start, count: count + length))
        }
        return true
    }

    /// The head of an unfragmented binary frame: 2 to 14 bytes; returns how many.
    private static func writeHead(length: Int, mask: UInt32?, to memory: UnsafeMutableRawPointer) -> Int {
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        memory.storeBytes(of: 0x80 | WebSocketOpcode.binary.rawValue, as: UInt8.self)
        var count = 2
        switch length {
        case 0..<126: memory.storeBytes(of: maskBit | UInt8(length), toByteOffset: 1, as: UInt8.self)
        case 126...0xFFFF:
            memory.storeBytes(of: maskBit | 126, toByteOffset: 1, as: UInt8.self)
            memory.storeBytes(of: UInt16(length).bigEndian, toByteOffset: 2, as: UInt16.self)
            count = 4
        default:
            memory.storeBytes(of: maskBit | 127, toByteOffset: 1, as: UInt8.self)
            memory.storeBytes(of: UInt64(length).bigEndian, toByteOffset: 2, as: UInt64.self)
            count = 10
        }
        guard let mask else { return count }
        memory.storeBytes(of: mask, toByteOffset: count, as: UInt32.self)
        return count + 4
    }
}
