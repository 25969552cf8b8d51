/// What a viewer of an execution asked for. Viewers of the same choice can be sent the same bytes.
struct EventChoice: Hashable, Sendable {
    var stdout = true
    var stderr = true
    var agent = true
    /// All output as base64.
    var isRaw = false
}
