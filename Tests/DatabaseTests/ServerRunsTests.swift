import Testing

@testable import DatabasePostgres

@Suite struct ServerRunsTests {
    private func mark(_ position: String, run: String = "1") -> TransactionMark {
        TransactionMark(id: "700", position: position, run: run)
    }

    @Test func `a number is believed where every recovery since has found the transaction's place in the log`() {
        let runs = ServerRuns()
        runs.met("1") { "0/100" }
        runs.met("2") { "0/9F0" }
        runs.met("3") { "1/0" }
        #expect(runs.verdict(on: mark("0/9F0")) == .known)
        #expect(runs.verdict(on: mark("0/A00", run: "2")) == .known)
        #expect(runs.verdict(on: mark("2/0", run: "3")) == .known)
    }

    @Test func `what one crash has lost stays lost although the log has grown beyond its place by the next`() {
        let runs = ServerRuns()
        runs.met("1") { "0/100" }
        runs.met("2") { "0/9EF" }
        runs.met("3") { "0/FFFFFFFF" }
        #expect(runs.verdict(on: mark("0/9F0")) == .lost)
    }

    @Test func `nothing is believed of a recovery that could not be read, nor of a run that nobody has met`() {
        let runs = ServerRuns()
        runs.met("1") { "0/100" }
        runs.met("2") { nil }
        runs.met("3") { "0/A00" }
        #expect(runs.verdict(on: mark("0/9F0")) == .unknown)
        #expect(runs.verdict(on: mark("0/B00")) == .lost)
        #expect(runs.verdict(on: mark("0/9F0", run: "0")) == .unknown)
    }

    @Test func `runs are entered once, and in order although two writers meet two of them at the same time`() {
        let runs = ServerRuns()
        runs.met("1") { "0/100" }
        var asked = 0
        runs.met("3") {
            asked += 1
            if asked == 1 { runs.met("2") { "0/200" } }
            return "0/300"
        }
        #expect(asked == 2)
        runs.met("3") {
            Issue.record("it is known")
            return nil
        }
        #expect(runs.verdict(on: mark("0/250", run: "2")) == .known)
        #expect(runs.verdict(on: mark("0/250")) == .lost)
    }
}
