extension ConfigurationKey {
    static let docker: [ConfigurationKey] = [
        .init(
            "dockerSocket",
            .path,
            ["BERTH_DOCKER_SOCKET"],
            default: "/var/run/docker.sock",
            "unix socket of the Docker Engine for provider docker"
        ),
        .init(
            "dockerImage",
            .text,
            ["BERTH_DOCKER_IMAGE"],
            default: "berth/worker-base:2",
            "image of containers that name none; scripts/images/docker imports the default"
        ),
    ]
}
