/// `<environment>/machine/end`: how QEMU ended where the guest did not end it, by `berth-hold machine`.
struct MachineEnd: Equatable {
    var instance: Int64
    var signal: Int?

    init?(_ text: String) {
        var instance: Int64?
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2 else { continue }
            if words[0] == "instance" { instance = Int64(words[1]) }
            if words[0] == "signal" { signal = Int(words[1]) }
        }
        guard let instance else { return nil }
        self.instance = instance
    }
}
