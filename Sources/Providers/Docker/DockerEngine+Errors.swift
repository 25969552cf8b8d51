internal import Base
internal import Glibc
internal import Transport

extension DockerEngine {
    /// An Engine that does not answer, as an error with the way out.
    func unreachable(_ error: BerthError, _ method: HTTPMethod, _ path: String) -> BerthError {
        guard error.code == .network || error.code == .notFound || error.code == .forbidden else {
            var known = error
            if error.code == .timedOut { known.message = "the Docker Engine at \(socket) does not answer in time" }
            known.detail = "\(method.rawValue) \(path): \(error)"
            known.isRetryable = true
            return known
        }
        if access(socket, F_OK) == 0, access(socket, W_OK) != 0 {
            return BerthError(
                .forbidden,
                "this user may not use the Docker Engine at \(socket)",
                remedy: "add the user to the group docker, or run the server as root",
                detail: "\(error)"
            )
        }
        return BerthError(
            .unavailable,
            "the Docker Engine does not answer at \(socket): \(error.message)",
            remedy: "start it (systemctl start docker), or set dockerSocket to its socket",
            detail: "\(method.rawValue) \(path): \(error)",
            isRetryable: true
        )
    }

    /// The Engine's refusal of a call, with its own words.
    static func refusal(_ answer: Answer, to verb: String) -> BerthError {
        let words = answer.message.trimmed
        let message = "the Docker Engine refused to \(verb): \(words)"
        func says(_ text: String) -> Bool { words.lowercased().contains(text) }
        if says("no space left on device") {
            return BerthError(.diskFull, message, remedy: "free space where Docker keeps its data", isRetryable: true)
        }
        if says("memory limit too low") || says("minimum memory limit") || says("oom-killed") {
            return BerthError(
                .invalidValue,
                message,
                field: "limits.memoryBytes",
                remedy: "give the environment more memory"
            )
        }
        if says("no such image") {
            return BerthError(.imageUnavailable, message, field: "image", remedy: "import the image, or name another")
        }
        switch answer.status {
        case 400: return BerthError(.invalidValue, message)
        case 404: return BerthError(.notFound, message)
        case 409: return BerthError(.conflict, message, isRetryable: true)
        case 500...: return BerthError(.unavailable, message, isRetryable: true)
        default: return BerthError(.internal, message)
        }
    }
}
