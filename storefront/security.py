"""What every answer tells the browser to forbid."""

from urllib.parse import urlsplit

from flask import Flask, Response, request

from storefront.config import Settings


def init_app(app: Flask, settings: Settings) -> None:
    container = urlsplit(settings.mixi_container_url)
    policy = _policy(settings.public_url, f"{container.scheme}://{container.netloc}")

    @app.after_request
    def forbid(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=()"
        if settings.public_url.startswith("https:"):
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"  # a page is somebody's own
        return response


def _policy(shop: str, container: str) -> str:
    """No script at all, no inline style; frames only around us, and only the container's."""
    return "; ".join(
        [
            "default-src 'none'",
            f"img-src {shop} {container}",
            f"style-src {shop}",
            f"form-action {shop} {container}",
            f"frame-ancestors {container}",
            "base-uri 'none'",
        ]
    )
