"""uWebSockets as PyPI's socketify has it: one topic, everybody is told, who speaks too."""

import sys

from socketify import App, AppListenOptions, CompressOptions, OpCode


def opened(ws):
    ws.subscribe("bench")


def said(ws, message, opcode):
    app.publish("bench", message, opcode)


app = App()
app.ws(
    "/*",
    {
        "compression": CompressOptions.DISABLED,
        "max_payload_length": 64 * 1024,
        "max_backpressure": 64 * 1024 * 1024,
        "idle_timeout": 0,
        "open": opened,
        "message": said,
    },
)
app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"), lambda config: None)
app.run()
