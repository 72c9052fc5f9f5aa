package interop;

import java.text.SimpleDateFormat;
import java.util.Date;

/** How an event's `timestamp` is written. */
final class Timestamp {

    private Timestamp() {
    }

    static Object now() {
        String form = ValidatorApplication.context.getEnvironment().getProperty("interop.timestamp");
        Date now = new Date();
        return "millis".equals(form) ? (Object) now.getTime() : new SimpleDateFormat(form).format(now);
    }
}
