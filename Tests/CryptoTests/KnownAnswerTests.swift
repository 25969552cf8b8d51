import Base
import OpenSSL
import Testing

@Suite struct KnownAnswerTests {
    private func bytes(_ hex: String) throws -> [UInt8] { try #require(Hex.decode(hex)) }

    @Test func `AES-256-GCM matches the GCM specification's case 14`() throws {
        let (key, nonce) = ([UInt8](repeating: 0, count: 32), [UInt8](repeating: 0, count: 12))
        let sealed = try AES256GCM.seal([UInt8](repeating: 0, count: 16), key: key, nonce: nonce, authenticating: [])
        #expect(Hex.encode(sealed) == "cea7403d4d606b6e074ec5d3baf39d18" + "d0d1c8a799996bf0265b98b5d48ab919")
        let opened = try AES256GCM.open(sealed, key: key, nonce: nonce, authenticating: [])
        #expect(opened == [UInt8](repeating: 0, count: 16))
    }

    @Test func `AES-256-GCM matches the GCM specification's case 16, with context`() throws {
        let sealed = try AES256GCM.seal(
            bytes(
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                    + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
            ),
            key: bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
            nonce: bytes("cafebabefacedbaddecaf888"),
            authenticating: bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2")
        )
        #expect(
            Hex.encode(sealed)
                == "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" + "76fc6ece0f4e1768cddf8853bb2d551b"
        )
    }

    @Test func `HMAC-SHA256 matches RFC 4231, case 2`() throws {
        let code = try HMACSHA256.authenticate(Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
        #expect(Hex.encode(code) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    }

    @Test func `HKDF-SHA256 matches RFC 5869, cases 1 and 3`() throws {
        let secret = [UInt8](repeating: 0x0B, count: 22)
        let first = try HKDFSHA256.derive(
            from: secret,
            salt: bytes("000102030405060708090a0b0c"),
            info: bytes("f0f1f2f3f4f5f6f7f8f9"),
            length: 42
        )
        #expect(
            Hex.encode(first)
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        )
        let third = try HKDFSHA256.derive(from: secret, salt: [], info: [], length: 42)
        #expect(
            Hex.encode(third)
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
        )
    }

    @Test func `equal secrets are equal and others are not`() {
        #expect(SecureComparison.areEqual([1, 2, 3], [1, 2, 3]))
        #expect(!SecureComparison.areEqual([1, 2, 3], [1, 2, 4]))
        #expect(!SecureComparison.areEqual([1, 2, 3], [1, 2]))
        #expect(SecureComparison.areEqual([], []))
    }
}
