import Base
import Crypto
import FoundationEssentials
import TestSupport
import Testing

@Suite struct OpenSSHKeyPairTests {
    @Test func `OpenSSH reads the private key and finds the same public key in it`() async throws {
        let folder = try TemporaryDirectory("key")
        let pair = try OpenSSHKeyPair(randomness: SystemRandomness(), comment: "berth build")
        let path = try folder.write(pair.privateKey.reveal(), to: "key")
        try await check(["chmod", "600", path])
        let shown = try await check(["ssh-keygen", "-y", "-f", path]).trimmed
        #expect(shown == "\(pair.publicKey) berth build")
    }

    /// RFC 8032, section 7.1, TEST 1: padding, both halves and the PEM frame for a known seed.
    @Test func `a known seed gives the known key`() throws {
        let seed = try #require(Hex.decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
        let known = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        let pair = try OpenSSHKeyPair(randomness: Fixed(numbers: seed), comment: "")
        let words = pair.publicKey.split(separator: " ")
        let blob = try #require(Data(base64Encoded: String(words[1])))
        #expect(Hex.encode(Array(blob.suffix(32))) == known)
        #expect(pair.privateKey.reveal().hasPrefix("-----BEGIN OPENSSH PRIVATE KEY-----\n"))
        #expect(!"\(pair.privateKey)".contains("OPENSSH"))
    }

    /// Gives these bytes, and zeros.
    private struct Fixed: Randomness {
        var numbers: [UInt8]

        func next() -> UInt64 { 0 }
        func bytes(_ count: Int) -> [UInt8] { Array(numbers.prefix(count)) }
    }
}
