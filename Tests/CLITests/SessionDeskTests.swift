import API
import Base
import Domain
import Testing

@testable import CLI

@Suite struct SessionDeskTests {
    private func sitting(_ kind: SessionRequest.Kind?, status: AgentSessionStatus = .running) throws -> SessionDesk {
        let option = SessionRequest.Option(id: "blue", label: "blue")
        let question = SessionRequest.Question(id: "Which?", text: "Which?", options: [option])
        let request = kind.map { kind in
            SessionRequest(
                id: "r1",
                kind: kind,
                title: "x",
                questions: kind == .question ? [question] : [],
                allowsAlways: kind == .permission
            )
        }
        var desk = SessionDesk()
        desk.session = AgentSession(
            id: try AgentSessionID("sess_" + String(repeating: "0", count: 26)),
            workspaceId: try WorkspaceID("ws_" + String(repeating: "0", count: 26)),
            name: "claude",
            agent: .claude,
            workflow: "feature",
            status: status,
            activity: .working,
            model: nil,
            permissionMode: "default",
            agentSessionId: nil,
            transcriptPath: nil,
            directory: "/w",
            turns: 1,
            turnStartedAt: nil,
            queue: [],
            isQueueHeld: false,
            requests: request.map { [$0] } ?? [],
            failure: nil,
            usage: AgentUsage(),
            lastSequence: 1,
            createdAt: Timestamp(milliseconds: 0),
            changedAt: Timestamp(milliseconds: 0)
        )
        return desk
    }

    private func keys(_ text: String, _ desk: inout SessionDesk) -> [SessionDesk.Wish] {
        desk.take(Array(text.utf8)[...])
    }

    @Test func `a key answers a permission, words do not`() throws {
        var desk = try sitting(.permission)
        let wish1 = keys("y", &desk)
        #expect(wish1 == [.answer("r1", AnswerRequest(decision: .allow))])
        let wish2 = keys("a", &desk)
        #expect(wish2 == [.answer("r1", AnswerRequest(decision: .allowAlways))])
        let wish3 = keys("n", &desk)
        #expect(wish3 == [.answer("r1", AnswerRequest(decision: .deny))])
        let wish4 = keys("later\r", &desk)
        #expect(wish4 == [.send("later")])
    }

    @Test func `a number is the option of a question, words are its answer`() throws {
        var desk = try sitting(.question)
        let wish5 = keys("1\r", &desk)
        #expect(wish5 == [.answer("r1", AnswerRequest(decision: .allow, answers: ["Which?": "blue"]))])
        let wish6 = keys("yes\r", &desk)
        #expect(wish6 == [.answer("r1", AnswerRequest(decision: .allow, answers: ["Which?": "yes"]))])
    }

    @Test func `Ctrl-C clears the line, then interrupts, then leaves`() throws {
        var desk = try sitting(nil)
        let wish7 = keys("some\u{3}", &desk)
        #expect(wish7.isEmpty && desk.written.isEmpty)
        let wish8 = keys("\u{3}", &desk)
        #expect(wish8 == [.interrupt])
        desk = try sitting(nil, status: .idle)
        let wish9 = keys("\u{3}", &desk)
        #expect(wish9 == [.leave])
        let wish10 = keys("\u{1C}", &desk)
        #expect(wish10 == [.leave])
    }

    @Test func `a character of several bytes is taken back whole, and arrows are no text`() throws {
        var desk = try sitting(nil)
        let wish11 = keys("aß", &desk)
        #expect(wish11.isEmpty)
        _ = keys("\u{7F}", &desk)
        #expect(desk.written == Array("a".utf8))
        _ = keys("\u{1B}[A", &desk)
        #expect(desk.written == Array("a".utf8))
        let wish12 = keys("\r", &desk)
        #expect(wish12 == [.send("a")])
        let wish13 = keys("  \r", &desk)
        #expect(wish13.isEmpty)
    }
}
