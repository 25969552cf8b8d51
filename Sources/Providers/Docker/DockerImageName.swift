internal import Base

/// Names of images: `[host[:port]/]path[:tag][@digest]`.
enum DockerImageName {
    static func check(_ name: String) throws(BerthError) {
        func isPlain(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte)
        }
        let isName =
            name.utf8.first.map(isPlain) == true && name.utf8.last.map(isPlain) == true && name.utf8.count <= 255
            && name.utf8.allSatisfy { isPlain($0) || "._-/:@".utf8.contains($0) } && !name.contains("..")
        guard isName else {
            throw BerthError(
                .invalidValue,
                "'\(name.prefix(80))' is not the name of an image",
                field: "image",
                remedy: "such as berth/worker-base:2 or debian:bookworm"
            )
        }
    }
}
