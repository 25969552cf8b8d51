import Base
import Crypto
import Testing

@Suite struct SealerTests {
    private let randomness = SeededRandomness(seed: 7)
    private let context: SealContext

    init() {
        let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
        context = SealContext(organizationID: ids.make(), purpose: "test", subject: "a")
    }

    private func ring() throws -> KeyRing { KeyRing(current: try MasterKey.make(randomness)) }

    @Test(arguments: [0, 1, 15, 16, 17, 5_000_000])
    func `what was sealed opens unchanged`(length: Int) throws {
        let sealer = Sealer(try ring(), randomness: randomness)
        let plain = randomness.bytes(length)
        let record = try sealer.seal(Secret(plain), context: context)
        let opened = try sealer.open(record, context: context)
        #expect(opened.reveal() == plain)
        #expect(!sealer.isOutdated(record))
    }

    @Test func `the same value never seals to the same record`() throws {
        let sealer = Sealer(try ring(), randomness: randomness)
        let first = try sealer.seal(Secret([1, 2, 3]), context: context)
        let second = try sealer.seal(Secret([1, 2, 3]), context: context)
        #expect(first != second)
    }

    @Test func `any changed byte is noticed`() throws {
        let sealer = Sealer(try ring(), randomness: randomness)
        let record = try sealer.seal(Secret(Array("secret".utf8)), context: context)
        for index in record.indices {
            var changed = record
            changed[index] ^= 0x40
            let error = #expect(throws: BerthError.self) { try sealer.open(changed, context: context) }
            #expect(error.map { [.sealBroken, .sealKeyUnknown].contains($0.code) } == true)
        }
        for count in record.indices {
            #expect(throws: BerthError.self) { try sealer.open(Array(record.prefix(count)), context: context) }
        }
    }

    @Test func `a record does not open in another place`() throws {
        let sealer = Sealer(try ring(), randomness: randomness)
        let record = try sealer.seal(Secret([1]), context: context)
        var (purpose, subject, shifted) = (context, context, context)
        purpose.purpose = "other"
        subject.subject = "b"
        shifted.purpose = "tes"
        shifted.subject = "ta"
        for wrong in [purpose, subject, shifted] {
            let error = #expect(throws: BerthError.self) { try sealer.open(record, context: wrong) }
            #expect(error?.code == .sealBroken)
        }
    }

    @Test func `after a rotation old records open and new ones use the new key`() throws {
        let (old, new) = (try MasterKey.make(randomness), try MasterKey.make(randomness))
        let record = try Sealer(KeyRing(current: old), randomness: randomness).seal(Secret([9]), context: context)
        let rotated = Sealer(KeyRing(current: new, previous: [old]), randomness: randomness)
        let opened = try rotated.open(record, context: context)
        #expect(opened.reveal() == [9])
        #expect(rotated.isOutdated(record))
        let without = Sealer(KeyRing(current: new), randomness: randomness)
        let error = #expect(throws: BerthError.self) { try without.open(record, context: context) }
        #expect(error?.code == .sealKeyUnknown)
    }
}
