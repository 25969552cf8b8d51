import AgentProtocol
import Base
import Domain
import Testing

@Suite struct AgentEndingTests {
    private static func ending(
        _ end: ProcessEnd,
        cause: StopCause? = nil,
        verdict: AgentVerdict? = nil,
        errors: String = ""
    ) -> AgentEnding {
        AgentEnding(
            agent: .claude,
            cause: cause,
            end: end,
            verdict: verdict,
            errorTail: errors,
            caps: RunCaps(timeoutMs: 10, maxTurns: 2, maxCostUSD: 0.5)
        )
    }

    private static func refusal(_ text: String, status: Int? = nil, subtype: String = "success") -> AgentVerdict {
        AgentVerdict(isError: true, subtype: subtype, text: text, endpointStatus: status)
    }

    /// Texts as CLI 2.1.327 writes them.
    @Test(
        arguments: [
            ("Not logged in · Please run /login", nil, ErrorCode.loginMissing),
            ("Failed to authenticate. API Error: 403 no", 403, .keyRefused),
            ("API Error: Request rejected (429) · slow down", 429, .rateLimited),
            ("API Error: 500 scripted failure.", 500, .endpointFailed),
            ("API Error: 529 Overloaded", 529, .endpointFailed),
            ("API Error: Connection to the API was lost (ECONNRESET).", nil, .network),
            ("Request timed out", nil, .network),
            ("Claude usage limit reached", nil, .quotaExceeded),
            ("something else", nil, .agentFailed),
        ] as [(String, Int?, ErrorCode)]
    )
    func `an error of the endpoint has its own reason`(text: String, status: Int?, code: ErrorCode) {
        let ending = Self.ending(.exited(1), verdict: Self.refusal(text, status: status))
        #expect(ending.outcome == .failed)
        #expect(ending.failure?.code == code)
    }

    @Test func `the agent's own caps are named`() {
        let turns = Self.ending(.exited(1), verdict: Self.refusal("", subtype: "error_max_turns"))
        #expect(turns.failure?.code == .turnCapReached)
        let cost = Self.ending(.exited(1), verdict: Self.refusal("", subtype: "error_max_budget_usd"))
        #expect(cost.failure?.code == .costCapReached)
    }

    @Test func `a crash without a verdict tells its last words`() {
        let crash = Self.ending(.signalled(11), errors: "one\nSegmentation fault\n")
        #expect(crash.failure?.code == .agentFailed)
        #expect(crash.failure?.message.contains("Segmentation fault") == true)
        #expect(Self.ending(.exited(0)).failure?.code == .agentFailed)
        #expect(
            Self.ending(.exited(1), errors: "error: unknown option '--max-budget-usd'").failure?.code == .unsupported
        )
    }

    @Test func `a stop decides, unless the run was already finished`() {
        #expect(Self.ending(.signalled(15), cause: .timedOut).outcome == .timedOut)
        #expect(Self.ending(.signalled(9), cause: .cancelled).outcome == .cancelled)
        #expect(Self.ending(.exited(143), cause: .keyRefused).failure?.code == .keyRefused)
        #expect(Self.ending(.exited(0), cause: .cancelled).outcome == .cancelled)
        let done = AgentVerdict(isError: false, subtype: "success")
        #expect(Self.ending(.exited(0), cause: .cancelled, verdict: done).outcome == .completed)
    }
}
