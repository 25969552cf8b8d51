public import Base
public import Domain
internal import FoundationEssentials
internal import Glibc

extension CheckoutMaker {
    /// What can be refused before anything is asked of git.
    public static func validate(_ request: WorkspaceRequest) throws(BerthError) {
        let name = request.directory
        let isPlain = name.utf8.allSatisfy { byte in
            byte < 0x80
                && (Character(Unicode.Scalar(byte)).isLetter || Character(Unicode.Scalar(byte)).isNumber
                    || [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains(byte))
        }
        let isName = isPlain && (1...128).contains(name.utf8.count) && !name.hasPrefix(".") && !name.looksLikeOption
        let isPlace = request.isInPlace && !name.utf8.contains(0) && name.utf8.count <= 4096
        guard isName || isPlace else {
            throw BerthError(
                .invalidPath,
                "'\(name.prefix(80))' is not a name for a workspace directory",
                field: "workspace.directory",
                remedy: "use letters, digits, '.', '_' and '-'; not first a '.' or '-'"
            )
        }
        _ = try GitURL(request.repositoryURL, field: "workspace.repositoryURL")
        if let base = request.baseReference,
            base.isEmpty || base.looksLikeOption || base.hasMarkedSign || base.contains("..")
        {
            throw BerthError(
                .invalidValue,
                "'\(base.prefix(80))' is not a branch, tag or commit",
                field: "workspace.baseReference"
            )
        }
    }

    /// git knows best what a branch may be called.
    func checkBranchName(_ branch: String) async throws {
        let isHead = branch == "HEAD" || branch.hasPrefix("refs/")
        let result = try await git.asWorker(
            ["check-ref-format", "--branch", branch],
            in: git.configuration.cacheDirectory
        )
        // `@{-1}` and its kin are expanded by git, so they come back changed.
        guard !isHead, result.succeeded, result.outputText.trimmed == branch else {
            throw BerthError(
                .invalidValue,
                "'\(branch.prefix(200))' is not a name for a branch",
                field: "workspace.branch",
                remedy:
                    "see git-check-ref-format(1): no space, '~', '^', ':', '?', '*', '[', '..', '@{', no '-' or '/' first"
            )
        }
    }

    /// Large files whose content is elsewhere are left as their pointers.
    func lookForLFS(_ path: String) async throws -> [String] {
        let result = try await git.asAgent(
            ["grep", "--cached", "-l", "-z", "-I", "-e", "^version https://git-lfs.github.com/spec/v1$"],
            in: path
        )
        let count = result.output.count { $0 == 0 }
        guard result.succeeded, count > 0 else { return [] }
        return [
            "\(count) \(count == 1 ? "file is" : "files are") kept in Git LFS: the checkout holds only "
                + "\(count == 1 ? "its pointer" : "their pointers"); run 'git lfs pull' where the objects are needed"
        ]
    }
}
