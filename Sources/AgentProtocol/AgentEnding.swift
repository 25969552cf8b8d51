import Base
public import Domain

/// How a process ended.
public enum ProcessEnd: Sendable, Equatable, Codable {
    case exited(Int32)
    case signalled(Int32)

    public var exitCode: Int32? { if case .exited(let code) = self { code } else { nil } }
    public var signal: Int32? { if case .signalled(let number) = self { number } else { nil } }
}

/// The typed outcome of a run, from what is known at its end. Pure.
public struct AgentEnding: Sendable, Equatable {
    public var outcome: ExecutionReport.Outcome
    /// nil exactly when `outcome` is `completed`.
    public var failure: FailureReason?

    public init(outcome: ExecutionReport.Outcome, failure: FailureReason?) {
        self.outcome = outcome
        self.failure = failure
    }

    /// - Parameters:
    ///   - verdict: the agent's own word, where it has one.
    ///   - errorTail: the end of standard error.
    public init(
        agent: AgentKind,
        cause: StopCause?,
        end: ProcessEnd,
        verdict: AgentVerdict?,
        errorTail: String,
        caps: RunCaps
    ) {
        // An agent that said it was done before the stop reached it is done. A command that catches the signal and exits
        // with 0 says nothing of the kind.
        let isDone = end == .exited(0) && verdict.map { !$0.isError } == true
        if let cause, !isDone {
            self = Self.stopped(cause, caps)
        } else if agent == .claude {
            self = Self.claude(end: end, verdict: verdict, errorTail: errorTail, caps: caps)
        } else {
            self = Self.process(end, what: "the command")
        }
    }

    private static func failed(_ code: ErrorCode, _ message: String, _ remedy: String? = nil) -> AgentEnding {
        AgentEnding(outcome: .failed, failure: FailureReason(code, message, remedy: remedy))
    }

    private static func stopped(_ cause: StopCause, _ caps: RunCaps) -> AgentEnding {
        switch cause {
        case .cancelled:
            AgentEnding(outcome: .cancelled, failure: FailureReason(.cancelled, "the run was cancelled"))
        case .timedOut:
            AgentEnding(
                outcome: .timedOut,
                failure: FailureReason(
                    .timedOut,
                    "the run took longer than its limit of \(caps.timeoutMs ?? 0) ms",
                    remedy: "raise the time limit (--timeout)"
                )
            )
        case .turnCap:
            failed(.turnCapReached, "the agent reached its cap of \(caps.maxTurns ?? 0) turns", "raise --max-turns")
        case .costCap:
            failed(.costCapReached, "the agent reached its cap of \(caps.maxCostUSD ?? 0) dollars", "raise --max-cost")
        case .keyRefused:
            failed(.keyRefused, "the model endpoint refused the key", "pass a valid key with --secret")
        case .fenced:
            failed(.infrastructureLost, "the worker lost its server for too long and ended the run to keep it single")
        }
    }

    private static func process(_ end: ProcessEnd, what: String) -> AgentEnding {
        switch end {
        case .exited(0): AgentEnding(outcome: .completed, failure: nil)
        case .exited(let code): failed(.agentFailed, "\(what) exited with status \(code)")
        case .signalled(9):
            failed(
                .agentFailed,
                "\(what) was killed (signal 9), as the kernel does when an environment's memory is used up"
            )
        case .signalled(let signal): failed(.agentFailed, "\(what) was ended by signal \(signal)")
        }
    }

    private static func claude(end: ProcessEnd, verdict: AgentVerdict?, errorTail: String, caps: RunCaps)
        -> AgentEnding
    {
        guard let verdict else {
            if errorTail.contains("unknown option") {
                return failed(
                    .unsupported,
                    "this Claude CLI does not know an option that the run needs: \(lastLine(errorTail))",
                    "use a newer CLI, or leave the cap out"
                )
            }
            let process = Self.process(end, what: "the Claude CLI")
            guard var failure = process.failure else {
                return failed(.agentFailed, "the Claude CLI ended without a result")
            }
            let line = lastLine(errorTail)
            if !line.isEmpty { failure.message += ": \(line)" }
            return AgentEnding(outcome: .failed, failure: failure)
        }
        switch verdict.subtype {
        case "error_max_turns": return stopped(.turnCap, caps)
        case "error_max_budget_usd": return stopped(.costCap, caps)
        default: break
        }
        guard verdict.isError else {
            return end == .exited(0)
                ? AgentEnding(outcome: .completed, failure: nil) : process(end, what: "the Claude CLI")
        }
        return endpoint(status: verdict.endpointStatus, text: verdict.text ?? verdict.subtype)
    }

    private static func endpoint(status: Int?, text: String) -> AgentEnding {
        let words = text.lowercased()
        func says(_ phrases: String...) -> Bool { phrases.contains { words.contains($0) } }
        switch status {
        case 401, 403:
            return failed(.keyRefused, "the model endpoint refused the key: \(text)", "pass a valid key with --secret")
        case 429: return failed(.rateLimited, "the model endpoint limits the rate: \(text)", "wait, then run it again")
        case .some(500...): return failed(.endpointFailed, "the model endpoint fails: \(text)", "run it again later")
        default: break
        }
        if says("not logged in", "/login", "invalid api key") {
            return failed(
                .loginMissing,
                "the agent has no login: \(text)",
                "pass one with --secret ANTHROPIC_API_KEY or --secret CLAUDE_CODE_OAUTH_TOKEN"
            )
        }
        if says("usage limit", "credit balance", "hour limit", "weekly limit", "out of extra usage") {
            return failed(.quotaExceeded, "the agent's account is used up: \(text)", "wait for the limit to reset")
        }
        let isNetwork = says(
            "connection",
            "econn",
            "enotfound",
            "eai_again",
            "unable to connect",
            "timed out",
            "fetch failed",
            "network"
        )
        if isNetwork {
            return failed(
                .network,
                "the agent could not reach its model endpoint: \(text)",
                "check the environment's network policy and ANTHROPIC_BASE_URL"
            )
        }
        return failed(.agentFailed, "the agent reported an error: \(text)")
    }

    private static func lastLine(_ text: String) -> String {
        String((text.split(whereSeparator: \.isNewline).last ?? "").trimmed.prefix(400))
    }
}
