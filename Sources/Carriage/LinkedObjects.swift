internal import Base
internal import FoundationEssentials
internal import Glibc

/// Objects of another repository of the same user, under the same names: git never changes one that it has written.
enum LinkedObjects {
    static func link(_ source: String, into target: String) throws {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: source)) ?? []
        for name in names.sorted() where !name.hasPrefix("info") {
            var status = stat()
            guard lstat("\(source)/\(name)", &status) == 0 else { continue }
            let place = "\(target)/\(name)"
            if status.st_mode & S_IFMT == S_IFDIR {
                guard mkdir(place, 0o755) == 0 || errno == EEXIST else { throw OpenedFile.failure("made", place) }
            } else if status.st_mode & S_IFMT == S_IFREG, !name.contains("tmp_"),
                Glibc.link("\(source)/\(name)", place) != 0, errno != EEXIST
            {
                // Another file system, or one without links.
                try FileManager.default.copyItem(atPath: "\(source)/\(name)", toPath: place)
            }
        }
    }
}
