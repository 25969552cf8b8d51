import Base
import Crypto
import FoundationEssentials
import Glibc
import TestSupport
import Testing

@Suite struct KeyFileTests {
    private let context = SealContext(
        organizationID: IDSource(time: SystemTime(), randomness: SystemRandomness()).make(),
        purpose: "test",
        subject: "a"
    )

    private func sealer(_ path: String) throws -> Sealer {
        Sealer(try KeyFile.load(path: path, randomness: SystemRandomness()), randomness: SystemRandomness())
    }

    @Test func `the file is made once, private, and read again`() throws {
        let directory = try TemporaryDirectory("key")
        let path = directory.file("master.key")
        let record = try sealer(path).seal(Secret([1, 2]), context: context)
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        let opened = try sealer(path).open(record, context: context)
        #expect(opened.reveal() == [1, 2])
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["master.key"])
    }

    @Test func `a file that others can read is refused`() throws {
        let directory = try TemporaryDirectory("key")
        let path = directory.file("master.key")
        _ = try sealer(path)
        chmod(path, 0o644)
        let error = #expect(throws: BerthError.self) { try sealer(path) }
        #expect(error?.code == .forbidden)
        #expect(error?.remedy?.contains("chmod 600") == true)
    }

    @Test(arguments: ["", "# nothing\n", "12ab\n", "zz"])
    func `a file without a good key is refused and never replaced`(text: String) throws {
        let directory = try TemporaryDirectory("key")
        let path = try directory.write(text, to: "master.key")
        chmod(path, 0o600)
        let error = #expect(throws: BerthError.self) { try sealer(path) }
        #expect(error?.code == .invalidValue)
        #expect(try String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self) == text)
    }

    @Test func `a token's form is checked before anything else`() {
        let token = AccessToken.make(.team, SystemRandomness())
        #expect(token.text.reveal().hasPrefix("dac_"))
        #expect(token.text.reveal().utf8.count == 52)
        #expect(AccessToken(presented: token.text)?.hash == token.hash)
        for wrong in [
            "", "dac_", token.text.reveal() + "0", "x" + token.text.reveal(),
            "dac_" + String(repeating: "g", count: 48),
        ] {
            #expect(AccessToken(presented: Secret(wrong)) == nil)
        }
        #expect(!"\(token)".contains(token.text.reveal()))
    }
}
