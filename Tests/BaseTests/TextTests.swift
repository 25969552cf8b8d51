import Base
import FoundationEssentials
import Testing

@Suite struct TextTests {
    @Test func `hex goes there and back and refuses the rest`() {
        let bytes: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF]
        #expect(Hex.encode(bytes) == "00017f80ff")
        #expect(Hex.decode("00017F80ff") == bytes)
        #expect(Hex.decode("abc") == nil)
        #expect(Hex.decode("zz") == nil)
    }

    @Test(arguments: ["plain", "a b/c?d=e&f", "ünïcödé", "100%", "~-._"])
    func `percent encoding goes there and back`(text: String) {
        #expect(PercentEncoding.decode(PercentEncoding.encode(text)) == text)
    }

    @Test(arguments: ["%", "%4", "%zz", "%ff"])
    func `broken escapes and bytes that are not UTF-8 are refused`(text: String) {
        #expect(PercentEncoding.decode(text) == nil)
    }

    @Test(arguments: ["", "plain", "quote \" and \\", "line\nbreak\ttab\r", "\u{0}\u{1f}", "snow ☃ man"])
    func `quoted text decodes to itself`(text: String) throws {
        let literal = JSONText.quoted(text)
        #expect(try JSONDecoder().decode([String].self, from: Data("[\(literal)]".utf8)) == [text])
    }

    @Test func `trimming takes white space from both ends only`() {
        #expect(" \n a b\t".trimmed == "a b")
        #expect("   ".trimmed == "")
    }
}

@Suite struct TimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (1_795_144_479_123, "2026-11-20T03:14:39.123Z"),
        (951_782_400_001, "2000-02-29T00:00:00.001Z"), (-1, "1969-12-31T23:59:59.999Z"),
    ])
    func `times are ISO 8601 with milliseconds`(milliseconds: Int64, text: String) throws {
        #expect(Timestamp(milliseconds: milliseconds).description == text)
        #expect(try Timestamp(text).milliseconds == milliseconds)
    }

    @Test func `a time without fractions is read and nonsense is refused with an example`() throws {
        #expect(try Timestamp("2026-11-20T03:14:39Z").milliseconds == 1_795_144_479_000)
        let error = #expect(throws: BerthError.self) { try Timestamp("yesterday") }
        #expect(error?.remedy?.contains("2026-11-20T03:14:39.123Z") == true)
    }
}

@Suite struct SecretTests {
    @Test func `a secret prints nothing of itself`() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), String(describing: [secret]), dumped] {
            #expect(!text.contains("hunter2"))
        }
        #expect(secret.reveal() == "hunter2")
    }
}

@Suite struct BackoffTests {
    @Test func `a worker waits 1, 2, 4, 8, 16 and then 30 seconds, less its jitter`() {
        var backoff = Backoff.workerReconnect
        let randomness = SeededRandomness(seed: 7)
        for full in [1, 2, 4, 8, 16, 30, 30, 30] {
            let wait = backoff.next(randomness)
            #expect(wait <= .seconds(full))
            #expect(wait >= .seconds(full) * 0.79)
        }
        backoff.reset()
        #expect(backoff.next(randomness) <= .seconds(1))
    }
}

@Suite struct DeadlineTests {
    @Test func `a deadline is its own error and never a cancellation`() async {
        await #expect(throws: BerthError.self) {
            try await withDeadline(.milliseconds(1), time: SystemTime(), what: "waiting") {
                try await SystemTime().wait(for: .seconds(3600))
            }
        }
    }

    @Test func `a result in time is returned`() async throws {
        let value = try await withDeadline(.seconds(60), time: SystemTime(), what: "adding") { 1 + 1 }
        #expect(value == 2)
    }
}

@Suite struct ErrorCodeTests {
    @Test func `an unknown code of a newer peer is kept and maps to an internal error`() throws {
        let code = try JSONDecoder().decode([ErrorCode].self, from: Data(#"["from_the_future"]"#.utf8))[0]
        #expect(code.rawValue == "from_the_future")
        #expect(code.httpStatus == 500)
        #expect(code.exitStatus == 70)
    }

    @Test func `an unknown error keeps its text for the log and away from people`() {
        struct Odd: Error {}
        let wrapped = BerthError(wrapping: Odd())
        #expect(wrapped.code == .internal)
        #expect(!wrapped.description.contains("Odd"))
        #expect(wrapped.detail?.contains("Odd") == true)
    }
}
