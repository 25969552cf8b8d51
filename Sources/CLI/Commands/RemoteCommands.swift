import API
import Base
import Client
import Domain
import Glibc
import OpenSSL
import Transport

/// `login`, `remote …`.
enum RemoteCommands {
    static let all = [login, list, remove]

    private static let login = Command(
        path: ["login"],
        summary: "Log in to another Berth server and keep it as a remote.",
        operands: [Operand(name: "URL", count: .one, about: "https://…; http:// for this machine alone")],
        options: [
            .value("name", "NAME", "What to call it; default: its host's name."),
            .flag("token-stdin", "Read the API key from standard input."),
            .value("pin", "SHA256", "The key of its certificate, as sha256/…, in place of an authority."),
        ],
        examples: [
            Example(line: "berth login https://berth.example.org", about: "Asks for the key"),
            Example(
                line: "berth key create laptop | berth login http://127.0.0.1:7420 --name cloud --token-stdin",
                about: "From a pipe"
            ),
        ],
        discussion:
            "The key is kept in ~/.config/berth/remotes.json, for you alone; --remote NAME uses it in every command."
    ) { arguments, terminal in
        let url = try checked(arguments.operands[0])
        let name = arguments.text("name") ?? host(url)
        try check(name: name)
        let pin = arguments.text("pin")
        let key = try token(arguments, terminal, url)
        var trust = TLSTrust.system
        if let pin { trust = .keys(try KeyPin.list(pin)) }
        let client = try BerthClient(
            url: url,
            key: key,
            trust: trust,
            proxy: HTTPProxy(environment: terminal.environment),
            loop: terminal.loop
        )
        let user: WhoAmI = try await client.call(.whoAmI)
        await client.close()
        let file = RemoteFile(terminal.environment)
        try file.put(Remote(name: name, url: url, token: key.reveal(), pin: pin, user: user.userId.text))
        if arguments.has("json") {
            terminal.writeBytes(try JSONBody.encode(RemoteView(name, url, user.userId.text)) + [10], toError: false)
        } else {
            terminal.write("\(name): logged in to \(url)\n")
        }
        return 0
    }

    private struct RemoteView: Encodable {
        var name: String
        var url: String
        var user: String?

        init(_ name: String, _ url: String, _ user: String?) {
            (self.name, self.url, self.user) = (name, url, user)
        }
    }

    private static func checked(_ text: String) throws(BerthError) -> String {
        let url = try HTTPURL(text)
        guard text.lowercased().hasPrefix("https://") || url.endpoint.isLocal else {
            throw BerthError(
                .usage,
                "\(text) would carry your key over the network unencrypted",
                field: "URL",
                remedy: "write https://; or forward a port of this machine to it: 'ssh -L 7420:localhost:7410 HOST'"
            )
        }
        return text
    }

    private static func host(_ url: String) -> String {
        let rest = url.firstRange(of: "://").map { url[$0.upperBound...] } ?? url[...]
        let host = rest.prefix { $0 != "/" && $0 != ":" }.split(separator: ".").first.map(String.init) ?? "remote"
        let isName = host.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        return isName && host.contains(where: \.isLetter) ? host.lowercased() : "remote"
    }

    private static func check(name: String) throws(BerthError) {
        let allowed = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_.".utf8.contains(byte)
        }
        guard allowed, (1...60).contains(name.utf8.count), !name.looksLikeOption else {
            throw BerthError(
                .usage,
                "'\(name.prefix(80))' is no name for a remote",
                field: "--name",
                remedy: "1 to 60 of a-z, 0-9, -, _ and ."
            )
        }
    }

    private static func token(_ arguments: ParsedArguments, _ terminal: Terminal, _ url: String) throws(BerthError)
        -> Secret<String>
    {
        if !arguments.has("token-stdin"), isatty(0) == 1 {
            terminal.writeError("API key of \(url) (make one there with 'berth key create'): ")
            guard let bytes = getpass("") else { throw BerthError(.usage, "no key was given", field: "--token-stdin") }
            return Secret(String(cString: bytes).trimmed)
        }
        let text = try Input.standardInput(for: "the API key").trimmed
        guard !text.isEmpty, !text.contains(where: \.isWhitespace) else {
            throw BerthError(
                .usage,
                "standard input holds no API key",
                field: "--token-stdin",
                remedy: "pipe in the key alone"
            )
        }
        return Secret(text)
    }

    private static let list = Command(
        path: ["remote", "ls"],
        summary: "List the servers you have logged in to.",
        examples: [Example(line: "berth remote ls", about: "Names and addresses")]
    ) { arguments, terminal in
        let remotes = try RemoteFile(terminal.environment).all()
        if arguments.has("json") {
            let views = remotes.map { RemoteView($0.name, $0.url, $0.user) }
            terminal.writeBytes(try JSONBody.encode(views, pretty: true) + [10], toError: false)
            return 0
        }
        var table = Table(header: ["NAME", "URL", "USER"])
        for remote in remotes { table.rows.append([remote.name, remote.url, remote.user ?? "-"]) }
        terminal.write(terminal.text(table))
        return 0
    }

    private static let remove = Command(
        path: ["remote", "rm"],
        summary: "Forget a server and its key.",
        operands: [Operand(name: "NAME", count: .one, about: "of a remote")],
        examples: [Example(line: "berth remote rm cloud", about: "The key stays valid there until revoked")]
    ) { arguments, terminal in
        try RemoteFile(terminal.environment).remove(arguments.operands[0])
        terminal.writeError("\(arguments.operands[0]): forgotten; revoke its key there with 'berth key revoke'\n")
        return 0
    }
}
