"""The Qt application: one window on the engine's views. `ui` may use `app`, never the extension."""
