extension WebSocketParser {
    /// A whole binary message at the front of `input`, unmasked where it lies: unfragmented, uncompressed and there to
    /// its last byte. nil for anything else, which is left to ``next(_:)`` as it is.
    ///
    /// The bytes of `input` must be the caller's own: they are changed.
    func nextWhole(_ input: inout UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard isBetweenMessages, let start = input.baseAddress, input.count >= 2 else { return nil }
        let isMasked = role == .server
        guard start.load(as: UInt8.self) == 0x80 | WebSocketOpcode.binary.rawValue else { return nil }
        let second = start.load(fromByteOffset: 1, as: UInt8.self)
        guard (second & 0x80 != 0) == isMasked else { return nil }
        var length = Int(second & 0x7F)
        var position = 2
        if length == 126 {
            guard input.count >= 4 else { return nil }
            length = Int(UInt16(bigEndian: start.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            position = 4
            guard length >= 126 else { return nil }
        } else if length == 127 {
            guard input.count >= 10 else { return nil }
            let wide = UInt64(bigEndian: start.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            position = 10
            guard wide > 0xFFFF, wide <= UInt64(input.count) else { return nil }
            length = Int(wide)
        }
        let end = position + (isMasked ? 4 : 0) + length
        guard length <= maximumMessageBytes, end <= input.count else { return nil }
        let payload = UnsafeRawBufferPointer(rebasing: input[(end - length)..<end])
        if isMasked {
            let mask = start.loadUnaligned(fromByteOffset: position, as: UInt32.self)
            WebSocketMask.apply(mask, offset: 0, to: UnsafeMutableRawBufferPointer(mutating: payload))
        }
        input = UnsafeRawBufferPointer(rebasing: input[end...])
        return payload
    }
}
