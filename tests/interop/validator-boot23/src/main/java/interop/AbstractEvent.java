package interop;

import org.springframework.messaging.MessageHeaders;
import org.springframework.messaging.support.MessageBuilder;
import org.springframework.util.MimeTypeUtils;

/** An event as the newer services write it: the object itself is the payload, and a header names its type. */
public abstract class AbstractEvent {

    private String eventType = getClass().getSimpleName();
    private Object timestamp = Timestamp.now();

    public String getEventType() {
        return eventType;
    }

    public void setEventType(String eventType) {
        this.eventType = eventType;
    }

    public Object getTimestamp() {
        return timestamp;
    }

    /** A number, or text made of digits: anything else is an event that cannot be read. */
    public void setTimestamp(Long timestamp) {
        this.timestamp = timestamp;
    }

    void publish() {
        ValidatorApplication.context.getBean(KafkaProcessor.class).outboundTopic().send(
            MessageBuilder.withPayload(this)
                .setHeader(MessageHeaders.CONTENT_TYPE, MimeTypeUtils.APPLICATION_JSON)
                .setHeader("type", eventType)
                .build());
    }
}
