internal import CUV
internal import Glibc

/// What the allocator holds of the system's memory, in bytes.
public struct MemoryUse: Sendable {
    /// In blocks that the program uses, small ones and those mapped on their own.
    public let used: Int
    /// Freed and kept for what comes next; what of it is whole pages may already be the system's again.
    public let free: Int

    /// Looks at every arena, so it is for those who ask seldom.
    public static func now() -> MemoryUse {
        let info = mallinfo2()
        return MemoryUse(used: Int(info.uordblks + info.hblkhd), free: Int(info.fordblks))
    }
}
