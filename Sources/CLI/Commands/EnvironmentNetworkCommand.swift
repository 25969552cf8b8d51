import API
import Base
import Client
import Domain

/// `env network`: what an environment may reach, while it runs.
enum EnvironmentNetworkCommand {
    static let command = Command(
        path: ["env", "network"],
        summary: "Show or change what an environment may reach.",
        operands: [Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment")],
        options: [
            .value("allow", "NAME:PORT", "Let it reach this name, such as github.com:443.", repeats: true),
            .value("deny", "NAME:PORT", "No longer let it reach this name; open connections are cut.", repeats: true),
            .flag("none", "Let it reach nothing."),
        ],
        examples: [
            Example(
                line: "berth env network build --allow github.com:443 --allow '*.npmjs.org:443'",
                about: "Two more"
            ),
            Example(line: "berth env network build --none", about: "Cut it off"),
        ],
        discussion: """
            Of an environment made with --network none or allow. A name leads to the public internet only, by TCP; addresses
            that are private, this machine's own or those of metadata services are out of reach under any name.
            """
    ) { arguments, terminal in
        let (allow, deny) = (try rules(arguments, "allow"), try rules(arguments, "deny"))
        let isNone = arguments.has("none")
        guard !isNone || allow.isEmpty && deny.isEmpty else {
            throw BerthError(.usage, "--none leaves nothing to name", field: "--none", remedy: "leave one of them out")
        }
        return try await ServerSession.with(arguments, terminal) { session in
            let path = ["environmentId": arguments.operands[0]]
            var environment: API.Environment = try await session.client.call(.environmentGet, path: path)
            if isNone || !allow.isEmpty || !deny.isEmpty {
                var policy = environment.spec.network
                let known = policy.allow.filter { !deny.contains($0) && !allow.contains($0) }
                policy.allow = isNone ? [] : (known + allow).sorted()
                policy.kind = isNone ? .none : .allow
                environment = try await session.client.call(.environmentNetwork, path: path, body: policy)
            }
            let network = environment.spec.network
            try session.print(network) {
                var table = Table(header: ["NETWORK", "NAME", "PORT"])
                if network.allow.isEmpty { table.rows.append([network.kind.rawValue, "-", "-"]) }
                for rule in network.allow {
                    table.rows.append([
                        network.kind.rawValue, (rule.isForSubdomains ? "*." : "") + rule.name, "\(rule.port)",
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static func rules(_ arguments: ParsedArguments, _ option: String) throws(BerthError) -> [NetworkRule] {
        do throws(BerthError) {
            return try SharedOptions.rules(arguments.all(option))
        } catch {
            throw BerthError(.usage, error.message, field: "--\(option)", remedy: error.remedy)
        }
    }
}
