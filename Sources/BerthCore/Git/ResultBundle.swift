public import Base
public import Domain
internal import FoundationEssentials
internal import Glibc
internal import OpenSSL

extension CheckoutMaker {
    /// Writes the commits that `commit` of a workspace has over what the remote had into a git bundle, as
    /// `refs/heads/<branch>`, so that whoever has the remote's branches can take them.
    ///
    /// Made as Berth in a repository of its own that borrows the mirror's objects: nothing that an agent may have set
    /// in the workspace has a say. Needs no credential, so it is also made after the worker's own death.
    /// - Parameter file: where to; it gets its name when it is complete. In a directory that agents cannot write.
    /// - Returns: nil when there is nothing new.
    public func bundle(_ commit: String, of checkout: Checkout, to file: String) async throws -> BundleMark? {
        let branch = checkout.branch
        let scratch = file + ".git"
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        try? FileManager.default.removeItem(atPath: scratch)
        _ = try await git.asWorker(["init", "--bare", "--quiet", "--template=", scratch], in: "/")
            .checked("make room for the result")
        var sources = [(checkout.path, ["+\(commit):refs/heads/\(branch)"])]
        if let mirror = checkout.mirrorPath, access(mirror, F_OK) == 0 {
            try Self.write("\(mirror)/objects\n", to: "\(scratch)/objects/info/alternates")
            sources.insert((mirror, ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]), at: 0)
        }
        // Ordered: what the remote has comes first, so that the second needs only what is new.
        for (source, references) in sources {
            _ = try await git.asWorker(
                ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", source] + references,
                in: scratch,
                deadline: git.configuration.transferDeadline
            )
            .checked("take the commits out of the workspace")
        }
        // Not the task's base: it may be an earlier task's commit that reached nobody.
        let known = ["--not", "--remotes=origin", "--tags"]
        let count = try await git.asWorker(["rev-list", "--count", "refs/heads/\(branch)"] + known, in: scratch)
            .checked("count the new commits")
        guard count.outputText.trimmed != "0" else { return nil }
        let part = file + ".part"
        _ = try await git.asWorker(
            ["bundle", "create", "--quiet", part, "refs/heads/\(branch)"] + known,
            in: scratch,
            deadline: git.configuration.transferDeadline
        )
        .checked("bundle the new commits")
        let (bytes, digest) = try FileDigest.of(part)
        guard rename(part, file) == 0 else {
            throw BerthError(.internal, "the bundle cannot be kept", detail: "errno \(errno)")
        }
        return BundleMark(branch: branch, bytes: bytes, sha256: digest)
    }

    private static func write(_ text: String, to path: String) throws(BerthError) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        let bytes = Array(text.utf8)
        let written = file < 0 ? -1 : bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        if file >= 0 { close(file) }
        guard written == bytes.count else {
            throw BerthError(.internal, "a file of the result cannot be written", detail: "errno \(errno)")
        }
    }
}

/// SHA-256 of a file, read in pieces.
public enum FileDigest {
    public static func of(_ path: String) throws(BerthError) -> (bytes: Int64, sha256: String) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw BerthError(.internal, "a file cannot be read", detail: "\(path): errno \(errno)")
        }
        defer { close(file) }
        var digest = SHA256()
        var total: Int64 = 0
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw BerthError(.internal, "a file cannot be read", detail: "\(path): errno \(errno)")
            }
            if count == 0 { break }
            digest.update(buffer[..<count])
            total += Int64(count)
        }
        return (total, Hex.encode(digest.digest))
    }
}
