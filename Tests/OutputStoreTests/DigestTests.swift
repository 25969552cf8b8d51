import Base
import OpenSSL
import Testing

@Suite struct DigestTests {
    @Test func `the digest of abc is the one in FIPS 180-4`() {
        #expect(
            Hex.encode(SHA256.hash(Array("abc".utf8)))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        )
    }

    @Test(arguments: [0, 1, 55, 56, 63, 64, 65, 127, 128, 4096, 100_003])
    func `a stored state continues to the same digest`(cut: Int) throws {
        let bytes = (0..<131_072).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var first = SHA256()
        first.update(bytes[..<cut])
        var second = try SHA256(serialized: first.serialized)
        second.update(bytes[cut...])
        #expect(second.digest == SHA256.hash(bytes))
        #expect(second.byteCount == 131_072)
    }

    @Test func `a damaged state is refused`() {
        var state = SHA256().serialized
        state[41] = 7
        #expect(throws: BerthError.self) { try SHA256(serialized: state) }
        #expect(throws: BerthError.self) { try SHA256(serialized: Array(state.dropLast())) }
    }
}
