import API
import Base
import Domain
import FoundationEssentials
import Glibc
import OpenSSL
import Server
import Transport

/// A server that this person has logged in to.
struct Remote: Codable, Sendable {
    var name: String
    var url: String
    /// An API key there.
    var token: String
    /// sha256/… of its certificate's key.
    var pin: String?
    var user: String?

    var peer: HandOverPeer { HandOverPeer(name: name, url: url, token: token, pin: pin) }

    var address: ServerAddress {
        get throws(BerthError) {
            var address = ServerAddress(url: url, key: Secret(token))
            if let pin { address.pins = try KeyPin.list(pin) }
            return address
        }
    }
}

/// `~/.config/berth/remotes.json`, which this person alone may read.
struct RemoteFile {
    let path: String

    init(_ environment: [String: String]) {
        let home = environment["HOME"] ?? "/root"
        path = (environment["XDG_CONFIG_HOME"] ?? "\(home)/.config") + "/berth/remotes.json"
    }

    private struct Content: Codable { var remotes: [Remote] }

    /// By name.
    func all() throws(BerthError) -> [Remote] {
        guard let data = FileManager.default.contents(atPath: path) else { return [] }
        guard let content = try? JSONBody.decode(Content.self, from: Array(data)) else {
            throw BerthError(
                .invalidValue,
                "\(path), which holds your logins, is damaged",
                remedy: "remove it and log in again: 'berth login URL'"
            )
        }
        return content.remotes.sorted { $0.name < $1.name }
    }

    func find(_ name: String) throws(BerthError) -> Remote {
        let known = try all()
        guard let remote = known.first(where: { $0.name == name }) else {
            throw BerthError(
                .notFound,
                "there is no remote '\(name.prefix(80))'",
                field: "--remote",
                remedy: Similarity.nearest(name, in: known.map(\.name)).map { "did you mean '\($0)'?" }
                    ?? "log in first: 'berth login URL --name \(name)'"
            )
        }
        return remote
    }

    /// The one that there is, where none is named.
    func find(_ name: String?, field: String) throws(BerthError) -> Remote {
        if let name { return try find(name) }
        let known = try all()
        guard known.count == 1 else {
            throw BerthError(
                .usage,
                known.isEmpty ? "there is no remote yet" : "there are \(known.count) remotes",
                field: field,
                remedy: known.isEmpty
                    ? "log in first: 'berth login URL'"
                    : "name one: \(known.map(\.name).joined(separator: ", "))"
            )
        }
        return known[0]
    }

    func put(_ remote: Remote) throws { try write(try all().filter { $0.name != remote.name } + [remote]) }

    func remove(_ name: String) throws {
        _ = try find(name)
        try write(try all().filter { $0.name != name })
    }

    /// Whole or not at all.
    private func write(_ remotes: [Remote]) throws {
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
        try FileManager.default.createDirectory(
            atPath: directory,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        let bytes = try JSONBody.encode(Content(remotes: remotes.sorted { $0.name < $1.name }), pretty: true)
        let part = "\(path).\(getpid()).part"
        unlink(part)
        let file = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw failure() }
        let written = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        let isDurable = written == bytes.count && fsync(file) == 0
        close(file)
        guard isDurable, rename(part, path) == 0 else { throw failure() }
    }

    private func failure() -> BerthError {
        BerthError(
            errno == ENOSPC ? .diskFull : .unavailable,
            "\(path) cannot be written",
            remedy: "check its directory's permissions",
            detail: "errno \(errno)"
        )
    }
}
