import API
import Base
import Domain
import Environments
import Executions
import Transport

/// `/v1/environments/{id}/execute`: a run in an environment, answered with its output.
extension ServerCore {
    /// Bytes of each stream that the answer carries.
    private static let executeBytes = 1 << 20

    func environmentExecute(_ context: RequestContext) async throws -> HTTPResponse {
        let body: ExecuteCode = try await context.body(limit: configuration.maximumBodyBytes)
        let principal = try context.principal
        let environment = try await environment(context)
        var request = CreateExecution()
        request.environment = environment.id.text
        request.agent = .command
        switch (body.code, body.command) {
        case (let code?, nil): request.command = ["sh", "-c", code]
        case (nil, let command?): request.command = command
        case (nil, nil), (.some, .some):
            throw BerthError(
                .invalidRequest,
                "one of 'code' and 'command' is needed",
                field: "code",
                remedy: "'code' is text for the environment's sh, 'command' an argument vector"
            )
        }
        request.prompt = body.stdin
        request.workingDirectory = body.workingDirectory
        request.env = body.env
        request.config = RunConfig(timeoutMs: body.timeoutMs)
        let made = try await launch(request, key: try context.idempotencyKey, by: principal)
        let accepted = context.request.headers.tokens("accept")
        if accepted.contains(where: { $0.hasPrefix("text/event-stream") }) {
            return executionStream(made.id, principal, EventChoice(agent: false))
        }
        let ended = try await ended(made.id, by: principal, within: .milliseconds(body.waitMs ?? 120_000))
        return try Self.json(try await executed(ended))
    }

    func executed(_ record: ExecutionRecord) async throws -> ExecutedCode {
        let stdout = try await start(of: .stdout, record)
        let stderr = try await start(of: .stderr, record)
        let shown = API.Execution(record)
        var answer = ExecutedCode(
            executionId: record.id,
            status: shown.status,
            stdout: stdout.text,
            stderr: stderr.text,
            isTruncated: stdout.isCut || stderr.isCut
                || shown.report?.stdout?.isTruncated == true || shown.report?.stderr?.isTruncated == true
        )
        answer.exitCode = shown.exitCode
        answer.signal = shown.report?.signal
        answer.durationMs = shown.durationMs
        answer.failure = shown.failure
        return answer
    }

    private func start(of stream: Domain.OutputStream, _ record: ExecutionRecord) async throws
        -> (text: String, isCut: Bool)
    {
        guard record.attempt > 0 else { return ("", false) }
        let slice = try await executions.output(of: record, stream, from: 0, limit: Self.executeBytes)
        return (String(decoding: slice.bytes, as: UTF8.self), slice.storedBytes > slice.bytes.count)
    }
}
