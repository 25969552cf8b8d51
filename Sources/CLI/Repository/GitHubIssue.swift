import Base
import Domain
import EventLoop
import FoundationEssentials
import OpenSSL
import Transport

/// What an issue says, read with this person's own login: a token of the environment's, else the `gh` program's.
struct GitHubIssue: Sendable {
    var title: String
    var text: String

    private static let longestText = 20_000
    private static let patience = Duration.seconds(15)

    private struct Answer: Decodable {
        var title: String
        var body: String?
    }

    /// Not having it is no obstacle; the reason says why.
    static func read(_ issue: IssueURL, _ terminal: Terminal) async -> Result<GitHubIssue, BerthError> {
        do {
            let bytes: [UInt8]
            if let token = token(terminal.environment) {
                bytes = try await fetch(issue, token, terminal)
            } else {
                bytes = try ask(issue, terminal)
            }
            let answer = try JSONDecoder().decode(Answer.self, from: Data(bytes))
            let text = answer.title + (answer.body.map { "\n\n" + $0 } ?? "")
            return .success(GitHubIssue(title: answer.title, text: String(text.prefix(longestText))))
        } catch {
            return .failure(BerthError(wrapping: error))
        }
    }

    private static func token(_ environment: [String: String]) -> String? {
        ["GH_TOKEN", "GITHUB_TOKEN"].compactMap { environment[$0] }.first { !$0.isEmpty }
    }

    /// GITHUB_API_URL, as GitHub's own programs have it.
    private static func address(_ issue: IssueURL, _ environment: [String: String]) -> String {
        let standard = issue.host == "github.com" ? "https://api.github.com" : "https://\(issue.host)/api/v3"
        let base = environment["GITHUB_API_URL"].flatMap { $0.isEmpty ? nil : $0 } ?? standard
        return "\(base)/repos/\(issue.owner)/\(issue.repository)/issues/\(issue.number)"
    }

    private static func fetch(_ issue: IssueURL, _ token: String, _ terminal: Terminal) async throws -> [UInt8] {
        var configuration = HTTPClientConfiguration()
        configuration.headTimeout = patience
        configuration.proxy = HTTPProxy(environment: terminal.environment)
        let client = HTTPClient(loop: terminal.loop, configuration: configuration, randomness: SystemRandomness())
        var headers = HTTPHeaders()
        headers.set("authorization", "Bearer \(token)")
        headers.set("accept", "application/vnd.github+json")
        headers.set("user-agent", "berth")
        let url = try HTTPURL(address(issue, terminal.environment))
        let response = try await client.send(HTTPClientRequest(.get, url, headers: headers))
        let body = try await response.body.collect(upTo: 4 << 20)
        guard response.status == 200 else {
            throw BerthError(
                response.status == 404 ? .notFound : .forbidden,
                "\(issue.host) answered with status \(response.status)"
            )
        }
        return body
    }

    private static func ask(_ issue: IssueURL, _ terminal: Terminal) throws -> [UInt8] {
        let path = "repos/\(issue.owner)/\(issue.repository)/issues/\(issue.number)"
        let result = try GitCommand.run(
            words: ["gh", "api", "--hostname", issue.host, path],
            environment: terminal.environment,
            remedy: "install gh, or set GH_TOKEN"
        )
        guard result.succeeded else {
            throw BerthError(
                .loginMissing,
                "there is no token, and gh is not logged in",
                remedy: "set GH_TOKEN, or run 'gh auth login'"
            )
        }
        return result.output
    }
}
