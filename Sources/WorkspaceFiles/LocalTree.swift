public import Base
internal import Glibc
public import WorkspaceCalls

/// The same work on a directory of this machine, for the other end of a copy.
public enum LocalTree {
    /// Carries out `action` below `root` on a thread of its own, speaking ``BulkFrame``s on `socket`, which it closes at
    /// the end.
    public static func serve(_ action: FileAction, below root: String, socket: Int32) throws(BerthError) {
        do {
            try startThread {
                defer { close(socket) }
                let conversation = FileConversation(socket: socket)
                do {
                    try FileActions(tree: try WorkspaceTree(root), conversation: conversation).perform(action)
                } catch is FileConversation.Gone {
                    return
                } catch {
                    conversation.refuse(BerthError(wrapping: error))
                }
            }
        } catch {
            throw BerthError(.internal, "no thread can be started", detail: "errno \(error.code)")
        }
    }
}
