import API
import Base
import Domain
import Environments
import Relay
import Transport
import WorkerProtocol
import WorkspaceCalls
import WorkspaceTypes

/// `/v1/environments/{environmentId}/terminals/{terminalId}/recording`: made by the worker, passed on as it comes.
extension ServerCore {
    func terminalRecording(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await environment(context)
        let link = try channels(of: record)
        let known = try await terminal(context, link)
        let exchange = BulkExchange(
            try await link.stream(TerminalRecordingCall(id: known.id), until: time.uptime + .seconds(20))
        )
        return HTTPResponse(
            headers: [
                "content-type": "application/x-asciicast", "cache-control": "no-store",
                "content-disposition": "attachment; filename*=UTF-8''\(PercentEncoding.encode(known.name)).cast",
            ],
            body: .stream(length: nil) { writer in
                while case .data(let bytes) = try await exchange.next() { try await writer.write(Array(bytes)) }
            }
        )
    }
}
